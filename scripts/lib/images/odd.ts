// The image odd: everything that an archive of a layer can hold and that is easily got wrong, and every way in which
// a later layer can change what an earlier one made. Small, so that it is unpacked often.

import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { run } from "../run.ts";
import { closeLayout, newImage } from "./layout.ts";

/** CAP_NET_RAW in the permitted set, effective: version 2 of security.capability, see capabilities(7). */
const netRaw = "0sAQAAAgAgAAAAAAAAAAAAAAAAAAA=";

function kinds(root: string): void {
  const at = (path: string): string => join(root, path);
  for (const folder of [
    "bin",
    "etc",
    "modes",
    "owners",
    "names",
    "times",
    "links",
    "nodes",
    "attributes",
    "content",
  ]) {
    mkdirSync(at(folder));
  }
  run(["cp", "/bin/busybox", at("bin/busybox")]);
  symlinkSync("busybox", at("bin/sh"));

  for (const mode of [0o000, 0o400, 0o644, 0o755, 0o1644, 0o2755, 0o4755, 0o6711]) {
    const file = at(`modes/${mode.toString(8).padStart(4, "0")}`);
    writeFileSync(file, "");
    chmodSync(file, mode);
  }
  mkdirSync(at("modes/sticky"));
  chmodSync(at("modes/sticky"), 0o1777);
  mkdirSync(at("modes/setgid"));
  chmodSync(at("modes/setgid"), 0o2775);
  mkdirSync(at("modes/closed"));
  writeFileSync(at("modes/closed/inside"), "in a directory without permissions\n");
  chmodSync(at("modes/closed"), 0o000);

  // 2097151 is the last ID that eight octal digits hold.
  for (const id of [1, 65_534, 2_097_151, 2_097_152, 4_294_967_294]) {
    writeFileSync(at(`owners/${id}`), "");
    run(["chown", `${id}:${id}`, at(`owners/${id}`)]);
  }
  run(["chmod", "6755", at("owners/65534")]);

  const deep = Array.from({ length: 8 }, (_, depth) => `${depth}-${"deep".repeat(12)}`).join("/");
  mkdirSync(at(`names/${deep}`), { recursive: true });
  writeFileSync(at(`names/${deep}/end`), "a path of over 255 bytes\n");
  writeFileSync(at(`names/${"n".repeat(255)}`), "");
  for (const name of [
    "ünïcödé 日本",
    "space and 'quote'",
    "new\nline",
    "-dash",
    "back\\slash",
    ".wh",
    "trailing.",
  ]) {
    writeFileSync(at(`names/${name}`), "");
  }

  writeFileSync(at("times/nanoseconds"), "");
  run(["touch", "-d", "2001-02-03 04:05:06.789012345 UTC", at("times/nanoseconds")]);
  writeFileSync(at("times/zero"), "");
  run(["touch", "-d", "@0", at("times/zero")]);
  symlinkSync("zero", at("times/link"));
  lutimesSync(at("times/link"), 1_000_000_000, 1_000_000_000);

  writeFileSync(at("links/first"), "one file, three names\n");
  linkSync(at("links/first"), at("links/second"));
  linkSync(at("links/first"), at("names/third"));
  symlinkSync("/etc", at("links/absolute"));
  symlinkSync("../../../../../../../etc", at("links/above"));
  symlinkSync("nowhere", at("links/dangling"));
  symlinkSync("t".repeat(200), at("links/long"));
  mkdirSync(at("links/target"));
  symlinkSync("target", at("links/folder"));

  run(["mkfifo", "-m", "0640", at("nodes/fifo")]);
  run(["mknod", "-m", "0666", at("nodes/null"), "c", "1", "3"]);
  run(["mknod", "-m", "0660", at("nodes/block"), "b", "259", "300"]);

  writeFileSync(at("attributes/user"), "");
  run(["setfattr", "-n", "user.colour", "-v", "blue = green\n", at("attributes/user")]);
  run(["cp", "/bin/busybox", at("attributes/ping")]);
  run(["setfattr", "-n", "security.capability", "-v", netRaw, at("attributes/ping")]);
  chmodSync(at("attributes/ping"), 0o755);

  writeFileSync(at("content/empty"), "");
  writeFileSync(at("content/block"), "b".repeat(512));
  writeFileSync(at("content/block-and-one"), "b".repeat(513));
  writeFileSync(at("content/holes"), "start");
  truncateSync(at("content/holes"), 8 * 1024 * 1024);
}

function before(root: string): void {
  const at = (path: string): string => join(root, path);
  for (const folder of [
    "change",
    "change/folder",
    "change/to-file",
    "change/to-link",
    "change/opaque",
    "change/removed",
  ]) {
    mkdirSync(at(folder));
  }
  for (const file of [
    "folder/kept",
    "folder/removed",
    "to-file/inside",
    "to-link/inside",
    "opaque/old",
    "removed/inside",
  ]) {
    writeFileSync(at(`change/${file}`), `${file} of the first layer\n`);
  }
  writeFileSync(at("change/to-folder"), "a file at first\n");
  writeFileSync(at("change/linked"), "linked\n");
  linkSync(at("change/linked"), at("change/linked-too"));
  symlinkSync("folder", at("change/was-link"));
  writeFileSync(at("change/mode"), "only its mode changes\n");
}

function after(root: string): void {
  const at = (path: string): string => join(root, path);
  rmSync(at("change/folder/removed"));
  rmSync(at("change/removed"), { recursive: true });
  rmSync(at("change/to-file"), { recursive: true });
  writeFileSync(at("change/to-file"), "a file now\n");
  rmSync(at("change/to-folder"));
  mkdirSync(at("change/to-folder"));
  writeFileSync(at("change/to-folder/inside"), "a folder now\n");
  rmSync(at("change/to-link"), { recursive: true });
  symlinkSync("folder", at("change/to-link"));
  rmSync(at("change/was-link"));
  mkdirSync(at("change/was-link"));
  writeFileSync(at("change/was-link/own"), "not in folder\n");
  // The other name keeps the old contents.
  rmSync(at("change/linked"));
  writeFileSync(at("change/linked"), "written anew\n");
  chmodSync(at("change/mode"), 0o600);
}

/** Makes the layout of odd, tag 1. */
export function odd(layout: string, work: string): void {
  const image = newImage(layout, work);
  kinds(image.rootfs);
  before(image.rootfs);
  image.layer("every kind of entry");
  after(image.rootfs);
  image.layer("every kind of change");
  const fresh = join(work, "fresh");
  mkdirSync(fresh);
  writeFileSync(join(fresh, "new"), "the only file\n");
  image.replace(fresh, "/change/opaque", "an opaque directory");
  image.finish("1", ["--config.env=PATH=/bin", "--config.cmd=sh"]);
  closeLayout(layout);
}
