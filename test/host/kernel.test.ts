/** What of kernel/ needs root: mounts, device nodes, files of other users. The rest: test/unit/kernel. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { O_RDONLY, POLLIN, RESOLVE_NO_XDEV, S_IFBLK, S_IFCHR } from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close, openDirectory, removeTree, statusOf, tryOpenat2, withFd } from "../../src/kernel/file.ts";
import { cString } from "../../src/kernel/memory.ts";
import { mount, unmount } from "../../src/kernel/mount.ts";
import { holdFile } from "../../src/kernel/notify.ts";
import { poll } from "../../src/kernel/poll.ts";
import { sys } from "../../src/kernel/raw.ts";

let work = "";
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "kernel-"));
});
afterEach(() => {
  for (const name of readdirSync(work)) unmount(join(work, name));
  rmSync(work, { recursive: true });
});

/** Options and propagation of what is mounted at a path, from mountinfo; undefined where nothing is. */
function mounted(path: string): { options: string[]; shared: boolean; type: string } | undefined {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n");
  const fields = lines.map((line) => line.split(" ")).findLast((parts) => parts[4] === path);
  if (fields === undefined) return undefined;
  const dash = fields.indexOf("-");
  return {
    options: fields[5]?.split(",") ?? [],
    shared: fields.slice(6, dash).some((field) => field.startsWith("shared:")),
    type: fields[dash + 1] ?? "",
  };
}

test("device nodes have their numbers, large ones too", () => {
  for (const [name, type, major, minor] of [
    ["char", S_IFCHR, 1, 3],
    ["block", S_IFBLK, 259, 70_000],
  ] as const) {
    const device = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
    expect(sys("mknodat", -100, cString(join(work, name)), type | 0o600, device)).toBe(0);
    const status = statusOf(join(work, name));
    expect([status?.type, status?.rdevMajor, status?.rdevMinor]).toEqual([type, major, minor]);
  }
});

test("owners are told with all their bits", () => {
  writeFileSync(join(work, "f"), "");
  chownSync(join(work, "f"), 4_000_000_000, 3_000_000_001);
  const status = statusOf(join(work, "f"));
  expect([status?.uid, status?.gid]).toEqual([4_000_000_000, 3_000_000_001]);
});

test("a mount has its flags and options, is private, and goes away", () => {
  const target = join(work, "tmp");
  mkdirSync(target);
  mount("none", target, "tmpfs", ["nosuid", "nodev", "noexec", "rw", "size=64k", "mode=711"]);
  const at = mounted(target);
  expect(at?.type).toBe("tmpfs");
  expect(at?.shared).toBe(false);
  for (const option of ["nosuid", "nodev", "noexec", "rw"]) expect(at?.options).toContain(option);
  expect((statusOf(target)?.mode ?? 0) & 0o777).toBe(0o711);
  unmount(target);
  expect(mounted(target)).toBeUndefined();
  unmount(target);
  unmount(join(work, "none"));
});

test("a bind mount that is to be read-only is", () => {
  const [source, target] = [join(work, "source"), join(work, "target")];
  mkdirSync(source);
  mkdirSync(target);
  writeFileSync(join(source, "f"), "through");
  mount(source, target, "", ["bind", "ro"]);
  expect(readFileSync(join(target, "f"), "utf8")).toBe("through");
  expect(() => writeFileSync(join(target, "g"), "")).toThrow("EROFS");
  writeFileSync(join(source, "g"), "");
});

test("a mount that fails names its place and what could not be mounted", () => {
  const target = join(work, "d");
  mkdirSync(target);
  expect(() => mount("none", target, "nosuchfs", [])).toThrow(
    expect.objectContaining({ syscall: "mount", path: target, errno: "ENODEV" }),
  );
});

test("an unmounted link is not followed", () => {
  const target = join(work, "tmp");
  mkdirSync(target);
  mount("none", target, "tmpfs", []);
  expect(sys("symlinkat", cString(target), -100, cString(join(work, "link")))).toBe(0);
  unmount(join(work, "link"));
  expect(mounted(target)?.type).toBe("tmpfs");
});

test("a path that may not cross mounts does not", () => {
  const target = join(work, "tmp");
  mkdirSync(target);
  mount("none", target, "tmpfs", []);
  writeFileSync(join(target, "f"), "");
  withFd(openDirectory(work), (fd) => {
    expect(tryOpenat2(fd, "tmp/f", O_RDONLY, 0, RESOLVE_NO_XDEV)).toBe(-ERRNO.EXDEV);
    const crossed = tryOpenat2(fd, "tmp/f", O_RDONLY, 0, 0);
    expect(crossed).toBeGreaterThan(0);
    close(crossed);
  });
});

test("removing a tree fails at a place where something is mounted, which stays", () => {
  const target = join(work, "tree");
  mkdirSync(target);
  mount("none", target, "tmpfs", []);
  expect(() => removeTree(target)).toThrow(expect.objectContaining({ syscall: "unlinkat", errno: "EBUSY" }));
  expect(existsSync(target)).toBe(true);
});

test("a file that is held says when it has changed, also when it is gone by then, and nothing of one that only went", () => {
  const tree = join(work, "tree");
  mkdirSync(tree);
  mount("cgroup2", tree, "cgroup2", []);
  /** Whether the states of a cgroup were said to have changed, and what they are then. */
  const held = (change: (directory: string) => void) => {
    const directory = join(tree, `ctr-bun-held-${process.pid}`);
    mkdirSync(directory);
    const file = holdFile(join(directory, "cgroup.events"));
    try {
      const before = file.takeChange();
      change(directory);
      const ready = poll([{ fd: file.fd, events: POLLIN }], 0)[0] === POLLIN;
      return { before, ready, changed: file.takeChange(), text: file.read(), after: file.takeChange() };
    } finally {
      file.close();
      if (existsSync(directory)) rmdirSync(directory);
    }
  };
  const freeze = (directory: string) => writeFileSync(join(directory, "cgroup.freeze"), "1");
  const none = { before: false, after: false };
  expect(held(() => {})).toEqual({ ...none, ready: false, changed: false, text: "populated 0\nfrozen 0\n" });
  expect(held(freeze)).toEqual({ ...none, ready: true, changed: true, text: "populated 0\nfrozen 1\n" });
  expect(held(rmdirSync)).toEqual({ ...none, ready: false, changed: false, text: undefined });
  const both = (directory: string) => {
    freeze(directory);
    rmdirSync(directory);
  };
  expect(held(both)).toEqual({ ...none, ready: true, changed: true, text: undefined });
});
