// Mounts on kernel 6.1, which takes less of the mount API than newer ones: ID-mapped mounts, sources that a user
// namespace may not reach, tmpcopyup, propagation, masks; and a pids limit of one in a user namespace.

import { beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/lib/run.ts";
import type { VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { type Config, specConfig } from "../support/config.ts";
import { imagePath } from "../support/images.ts";

/** A bundle /b/NAME whose program is a line of shell, in a copy of the image busybox that has all places. */
function bundle(name: string, line: string, change: (config: Config) => void): VmFiles {
  const config = specConfig("/tmp/rootfs", ["sh", "-c", line]);
  change(config);
  return { [`/b/${name}/config.json`]: { text: JSON.stringify(config) } };
}

function withUser({ linux }: Config): void {
  linux.namespaces.push({ type: "user" });
  linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
}

const own = {
  uidMappings: [{ containerID: 0, hostID: 7, size: 1 }],
  gidMappings: [{ containerID: 0, hostID: 8, size: 1 }],
};
const owner = "stat -c %u:%g /bound/file";

const files: VmFiles = {
  "/busybox": { from: imagePath("busybox-rootfs") },
  ...bundle("idmap", owner, ({ mounts }) => {
    mounts.push({ destination: "/bound", source: "/mnt/ext", options: ["rbind", "idmap"], ...own });
  }),
  ...bundle("idmap-user", `${owner}; touch /bound/new`, (config) => {
    config.mounts.push({ destination: "/bound", source: "/mnt/ext", options: ["bind", "idmap"] });
    withUser(config);
  }),
  ...bundle("idmap-tmpfs", owner, ({ mounts }) => {
    mounts.push({ destination: "/bound", source: "/tmp", options: ["bind", "idmap"], ...own });
  }),
  ...bundle("closed", "cat /bound/file; touch /bound/x", (config) => {
    config.mounts.push({ destination: "/bound", source: "/tmp/closed/source", options: ["rbind", "ro"] });
    withUser(config);
  }),
  ...bundle("copy-up", "stat -c '%n %a %u:%g' /full/*; touch /full/made && echo made", ({ mounts }) => {
    mounts.push({ destination: "/full", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] });
  }),
  ...bundle("copy-up-user", "stat -c '%n %a %u:%g' /full/*; touch /full/made && echo made", (config) => {
    config.mounts.push({ destination: "/full", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] });
    withUser(config);
  }),
  ...bundle(
    "shared",
    "mkdir /bound/made; mount -t tmpfs x /bound/made; mkdir /bound/made/inside",
    (config) => {
      config.mounts.push({ destination: "/bound", source: "/tmp/shared", options: ["bind", "shared"] });
      config.linux.rootfsPropagation = "shared";
      for (const set of ["bounding", "effective", "permitted"])
        config.process.capabilities[set]?.push("CAP_SYS_ADMIN");
    },
  ),
  ...bundle("masked", "ls -A /full /bound | grep -v : | grep -c .; wc -c </etc/group", ({ linux }) => {
    linux.maskedPaths = ["/full", "/bound", "/bin/nothing", "/etc/group"];
  }),
  ...bundle("one-process", "echo $$; (true) 2>&1 || echo no more", (config) => {
    config.linux.resources.pids = { limit: 1 };
    withUser(config);
  }),
};

const script = `
  run() { outcome "$1" ctr-bun run --bundle "/b/$1" "$1"; }
  cp -a /busybox /tmp/rootfs
  for place in proc dev sys bound full; do mkdir -p /tmp/rootfs/$place; done
  echo content >/tmp/rootfs/full/file; chmod 4751 /tmp/rootfs/full/file; ln -s file /tmp/rootfs/full/link
  mknod /tmp/rootfs/full/device c 1 3; mkdir /tmp/rootfs/full/sub
  chown -h 100005:100006 /tmp/rootfs/full/*; chmod 4751 /tmp/rootfs/full/file
  mkdir -p /mnt/ext /tmp/closed/source
  mount -t ext4 -o loop /ext4.img /mnt/ext
  echo content >/mnt/ext/file; echo content >/tmp/closed/source/file; chmod 700 /tmp/closed
  mkdir /tmp/shared; mount -t tmpfs shared /tmp/shared; mount --make-shared /tmp/shared

  for name in idmap idmap-user idmap-tmpfs closed copy-up copy-up-user shared masked one-process; do run $name; done
  outcome spread ls /tmp/shared/made
  outcome made stat -c %u:%g /mnt/ext/new
`;

let vm: VmRun;
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "ctr-bun-ext4-"));
  try {
    const image = join(folder, "ext4.img");
    run(["mke2fs", "-q", "-F", "-t", "ext4", image, "4M"]);
    vm = await runInVm({ files: { ...files, "/ext4.img": { from: image } }, script, timeout: 240_000 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 300_000);

const outcome = (name: string): string => (vm.results.get(name)?.text ?? "no result").replaceAll("|", "\n");

test("an ID-mapped mount has the owners of its mappings", () => {
  expect(outcome("idmap")).toBe("exit code 0: 7:8");
});

test("in a user namespace it has the container's, and what is made in it is root's on disk", () => {
  expect(outcome("idmap-user")).toBe("exit code 0: 0:0");
  expect(outcome("made")).toBe("exit code 0: 0:0");
});

test("a tmpfs, which this kernel cannot map, is named", () => {
  expect(outcome("idmap-tmpfs")).toContain(
    "the file system of the source (tmpfs) does not support ID-mapped mounts",
  );
});

test("a source below a closed directory is bound into a user namespace", () => {
  expect(outcome("closed")).toBe("exit code 1: content\ntouch: /bound/x: Read-only file system");
});

test("a tmpfs is filled with what it covers, owners as the container sees them", () => {
  const names = (uid: number, gid: number) => [
    `/full/device 644 ${uid}:${gid}`,
    `/full/file 4751 ${uid}:${gid}`,
    `/full/link 777 ${uid}:${gid}`,
    `/full/sub 755 ${uid}:${gid}`,
    "made",
  ];
  expect(outcome("copy-up").split("\n")).toEqual([
    `exit code 0: ${names(100_005, 100_006)[0]}`,
    ...names(100_005, 100_006).slice(1),
  ]);
  expect(outcome("copy-up-user").split("\n")).toEqual([
    `exit code 0: ${names(5, 6)[0]}`,
    ...names(5, 6).slice(1),
  ]);
});

test("a mount that asks for it is shared with the host", () => {
  expect(outcome("shared")).toBe("exit code 0: ");
  expect(outcome("spread")).toBe("exit code 0: inside");
});

test("directories and files are masked, one tmpfs for all", () => {
  expect(outcome("masked")).toBe("exit code 0: 0\n0");
});

test("a limit of one process in a user namespace is the program's own", () => {
  expect(outcome("one-process")).toBe("exit code 2: 1\nsh: can't fork: Resource temporarily unavailable");
});
