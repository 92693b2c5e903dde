/**
 * The same image unpacked by umoci and by us: two trees that must be the same in names, types, modes, owners, times,
 * attributes, links and contents. Needs root, umoci, GNU tar and busybox-static.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { overlayDriver } from "../../drivers/overlay/driver.ts";
import { applyLayer } from "../../src/image/layer/apply.ts";
import { mount, unmount } from "../../src/kernel/mount.ts";
import { type Member, tar } from "../support/tar-writer.ts";
import { listTree } from "../support/tree-listing.ts";

const usable = ["umoci", "busybox", "setfattr", "setcap", "mknod", "mkfifo"].every(
  (name) => Bun.which(name) !== null,
);
const base = mkdtempSync("/tmp/ctr-bun-umoci-");
const image = `${base}/image`;

beforeAll(() => mount("tmpfs", base, "tmpfs", []));
afterAll(() => {
  unmount(base);
  rmSync(base, { recursive: true });
});

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: base, stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

/** A small root file system with one of everything. */
function makeBase(root: string): void {
  for (const path of ["bin", "etc", "usr/lib", "var/log", "tmp", "empty", "opaque/sub", "dev"]) {
    mkdirSync(`${root}/${path}`, { recursive: true });
  }
  copyFileSync("/bin/busybox", `${root}/bin/busybox`);
  for (const name of ["sh", "ls", "cat"]) linkSync(`${root}/bin/busybox`, `${root}/bin/${name}`);
  symlinkSync("usr/lib", `${root}/lib`);
  symlinkSync("/nowhere", `${root}/etc/dangling`);
  writeFileSync(`${root}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(`${root}/etc/removed`, "gone later");
  writeFileSync(`${root}/usr/lib/old`, "old");
  writeFileSync(`${root}/opaque/a`, "a");
  writeFileSync(`${root}/opaque/sub/b`, "b");
  writeFileSync(`${root}/bin/su`, "setuid");
  writeFileSync(`${root}/bin/ping`, "capable");
  writeFileSync(`${root}/etc/ünïcode-näme`, "x");
  writeFileSync(`${root}/var/log/${"long-name-".repeat(20)}`, "x");
  chownSync(`${root}/bin/su`, 12, 34);
  chmodSync(`${root}/bin/su`, 0o6755);
  chmodSync(`${root}/tmp`, 0o1777);
  chownSync(`${root}/var/log`, 1000, 2000);
  chmodSync(`${root}/var/log`, 0o2750);
  run("setcap", "cap_net_raw+ep", `${root}/bin/ping`);
  run("setfattr", "-n", "user.note", "-v", "hello", `${root}/etc/passwd`);
  run("setfattr", "-n", "trusted.note", "-v", "0x00ff0a", `${root}/etc`);
  run("mknod", "-m", "666", `${root}/dev/null`, "c", "1", "3");
  run("mknod", "-m", "660", `${root}/dev/sda`, "b", "8", "0");
  run("mkfifo", "-m", "620", `${root}/dev/initctl`);
  run("truncate", "-s", "3M", `${root}/var/sparse`);
  writeFileSync(`${root}/var/sparse`, "data in the middle", { flag: "r+" });
  utimesSync(`${root}/etc/passwd`, 1_234_567_890.123, 1_234_567_890.123);
  lutimesSync(`${root}/lib`, 1_000_000_000, 1_000_000_000);
  utimesSync(`${root}/empty`, 86_400, 86_400);
}

/**
 * What real layers do least often: each of it in one. (A hard link to a lower file that has several names already
 * would differ: overlayfs, and so we, separate the new pair from the others; in one tree they all stay together.)
 */
const SPECIAL: readonly Member[] = [
  { name: "opaque/", type: "5", mode: 0o711, mtime: 1_111 },
  { name: "opaque/.wh..wh..opq", mode: 0o600 },
  { name: "opaque/new", data: "new", mtime: 2_222 },
  { name: "lib/through-a-link", data: "in usr/lib", mtime: 3_333, pax: [["mtime", "3333.123456789"]] },
  { name: "bin/su2", type: "1", link: "bin/su" },
  { name: "etc/.wh.passwd" },
  { name: "etc/passwd", data: "new in the same layer", uid: 7, gid: 8, mtime: 4_444 },
  { name: "empty", data: "a file in place of a directory", mtime: 5_555 },
  { name: "etc/dangling/", type: "5", mode: 0o750, mtime: 6_666 },
  { name: "etc/dangling/inside", data: "x", mtime: 7_777 },
];

interface Layer {
  readonly digest: string;
  readonly mediaType: string;
}

function layersOf(): { layers: Layer[]; diffIDs: string[] } {
  const blob = (digest: string) =>
    JSON.parse(readFileSync(`${image}/blobs/${digest.replace(":", "/")}`, "utf8"));
  const index = JSON.parse(readFileSync(`${image}/index.json`, "utf8"));
  const manifest = blob(index.manifests[0].digest);
  return { layers: manifest.layers, diffIDs: blob(manifest.config.digest).rootfs.diff_ids };
}

test.skipIf(!usable)(
  "an image of several layers is the tree that umoci makes of it",
  async () => {
    run("umoci", "init", "--layout", image);
    run("umoci", "new", "--image", `${image}:t`);
    // Layers 1 and 2 by umoci itself, as its users make them: unpack, change, repack.
    run("umoci", "unpack", "--image", `${image}:t`, "b0");
    makeBase(`${base}/b0/rootfs`);
    run("umoci", "repack", "--refresh-bundle", "--image", `${image}:t`, "b0");
    rmSync(`${base}/b0/rootfs/etc/removed`);
    rmSync(`${base}/b0/rootfs/opaque/sub`, { recursive: true });
    writeFileSync(`${base}/b0/rootfs/var/added`, "added");
    chmodSync(`${base}/b0/rootfs/etc`, 0o700);
    run("umoci", "repack", "--image", `${image}:t`, "b0");
    // Layer 3 by us.
    writeFileSync(`${base}/special.tar`, tar(SPECIAL));
    run("umoci", "raw", "add-layer", "--image", `${image}:t`, "special.tar");
    run("umoci", "unpack", "--image", `${image}:t`, "theirs");

    const snapshots = overlayDriver.open(`${base}/store`);
    const { layers, diffIDs } = layersOf();
    expect(layers.length).toBe(3);
    let parent: string | undefined;
    for (const [index, { digest, mediaType }] of layers.entries()) {
      snapshots.prepare("next", parent);
      const source = Bun.file(`${image}/blobs/${digest.replace(":", "/")}`).stream();
      await applyLayer({ snapshotter: snapshots, key: "next", source, mediaType, diffID: diffIDs[index] });
      parent = `layer ${index}`;
      snapshots.commit(parent, "next");
    }

    const target = `${base}/ours`;
    mkdirSync(target);
    for (const { source, type, options } of snapshots.view("view", parent))
      mount(source, target, type, options);
    try {
      const ours = listTree(target);
      expect(ours).toEqual(listTree(`${base}/theirs/rootfs`));
      expect(ours.length).toBeGreaterThan(30);
    } finally {
      unmount(target);
    }
  },
  60_000,
);
