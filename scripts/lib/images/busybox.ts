// The image busybox: one static program, for tests that start many containers, and its root file system unpacked,
// for tests of bundles.

import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.ts";
import { closeLayout, newImage } from "./layout.ts";

const users = [
  "root:x:0:0:root:/root:/bin/sh",
  "demo:x:1000:1000:Demo:/home/demo:/bin/sh",
  "nobody:x:65534:65534:nobody:/:/bin/false",
];
const groupsOf = ["root:x:0:", "wheel:x:10:demo", "demo:x:1000:", "nogroup:x:65534:"];

/** Writes the root file system: busybox with a link for each of its programs, users, and the usual directories. */
export function busyboxRootfs(rootfs: string): void {
  const folders = [
    "bin",
    "dev",
    "etc",
    "home",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr",
    "var",
    "var/tmp",
    "data",
  ];
  for (const folder of folders) mkdirSync(join(rootfs, folder), { recursive: true });
  for (const folder of ["usr/bin", "usr/sbin"]) mkdirSync(join(rootfs, folder), { recursive: true });
  for (const folder of ["tmp", "var/tmp"]) chmodSync(join(rootfs, folder), 0o1777);
  chmodSync(join(rootfs, "root"), 0o700);
  mkdirSync(join(rootfs, "home/demo"));
  run(["chown", "1000:1000", join(rootfs, "home/demo")]);
  copyFileSync("/bin/busybox", join(rootfs, "bin/busybox"));
  for (const name of run(["busybox", "--list"]).trim().split("\n")) {
    if (name !== "busybox") symlinkSync("busybox", join(rootfs, "bin", name));
  }
  writeFileSync(join(rootfs, "etc/passwd"), `${users.join("\n")}\n`);
  writeFileSync(join(rootfs, "etc/group"), `${groupsOf.join("\n")}\n`);
  writeFileSync(
    join(rootfs, "entrypoint"),
    '#!/bin/sh\n# Says that it ran, then becomes the command.\necho "entrypoint: $*" >&2\nexec "$@"\n',
  );
  chmodSync(join(rootfs, "entrypoint"), 0o755);
}

/** Makes the layout of busybox: tag 1 with an entry point, volume and stop signal, tag plain with a command only. */
export function busybox(layout: string, work: string): void {
  const image = newImage(layout, work);
  busyboxRootfs(image.rootfs);
  writeFileSync(join(image.rootfs, "data/kept"), "from the image\n");
  image.layer("busybox-static");
  const path = "--config.env=PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  image.finish("plain", [path, "--config.cmd=sh"]);
  image.finish("1", [
    path,
    "--config.env=FLAVOUR=busy box",
    "--config.entrypoint=/entrypoint",
    "--config.cmd=sh",
    "--config.cmd=-c",
    "--config.cmd=echo default command",
    "--config.volume=/data",
    "--config.workingdir=/home/demo",
    "--config.stopsignal=SIGINT",
    "--config.label=flavour=busybox",
  ]);
  closeLayout(layout);
}
