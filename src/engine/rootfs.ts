/**
 * The root file system of a container on the host: a snapshot, mounted in the container's directory, and what is made
 * in it before the container starts. Every path inside goes through descriptors (rule R1).
 * Not here: the snapshot itself (a snapshotter).
 */
import type { SnapshotMount } from "../driver.ts";
import { fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_DIRECTORY, O_PATH } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close, openDirectory, tryMkdir, tryOpenInRoot, withFd } from "../kernel/file.ts";
import { mount, unmount } from "../kernel/mount.ts";

/** Mounts a snapshot at a directory, which must exist: all of its mounts, or none. */
export function mountSnapshot(mounts: readonly SnapshotMount[], target: string): void {
  try {
    for (const { source, type, options } of mounts) mount(source, target, type, options);
  } catch (error) {
    unmountAll(target, mounts.length);
    throw error;
  }
}

/** Detaches up to `count` mounts that lie on top of each other. */
export function unmountAll(target: string, count = 1): void {
  for (let done = 0; done < count; done++) unmount(target);
}

/** Makes a directory inside a root, with its parents (root's, mode 0755), where it is missing. */
export function makeDirectory(rootfs: string, path: string): void {
  withFd(openDirectory(rootfs), (root) => close(openMaking(root, path)));
}

/** As {@link makeDirectory}, giving a descriptor (O_PATH) of the directory. */
export function openMaking(root: number, path: string): number {
  const whole = tryOpenInRoot(root, path, O_PATH | O_DIRECTORY);
  if (whole >= 0) return whole;
  const parts = path.split("/").filter((part) => part !== "");
  let prefix = "";
  let fd = check(tryOpenInRoot(root, "/", O_PATH | O_DIRECTORY), { syscall: "openat2", path: "/" });
  for (const part of parts) {
    const parent = fd;
    prefix += `/${part}`;
    try {
      let next = tryOpenInRoot(root, prefix, O_PATH | O_DIRECTORY);
      if (next === -ERRNO.ENOENT) {
        // EEXIST: a link that leads nowhere. Opening it again says so.
        const made = tryMkdir(part, 0o755, parent);
        if (made !== -ERRNO.EEXIST) check(made, { syscall: "mkdir", path: prefix });
        next = tryOpenInRoot(root, prefix, O_PATH | O_DIRECTORY);
      }
      fd = next >= 0 ? next : unusable(next, prefix);
    } finally {
      close(parent);
    }
  }
  return fd;
}

function unusable(result: number, path: string): never {
  if (result === -ERRNO.ENOTDIR || result === -ERRNO.ENOENT) {
    throw fail({
      code: "NOT_A_DIRECTORY",
      message: `${path} of the image is not a directory, and one is needed there`,
      path,
      hint: "choose another path",
    });
  }
  check(result, { syscall: "openat2", path });
  throw new Error("unreachable");
}
