/**
 * Files and directories by descriptor: open, read, write, make, remove, look at. Every descriptor made here is
 * CLOEXEC. Paths inside a root file system go through {@link openInRoot}.
 */
import { CtrError } from "../error.ts";
import { callError, check } from "./check.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFMT,
  STATX_BASIC_STATS,
  STATX_MNT_ID,
} from "./constants.ts";
import { byteString, removeTreeAt } from "./directory.ts";
import { ERRNO } from "./errno.ts";
import { cString, textOf, viewOf } from "./memory.ts";
import { sys } from "./raw.ts";

/** How often openat2 is tried again on EAGAIN, which it gives under concurrent renames (openat2(2)). */
const EAGAIN_TRIES = 128;

/** openat2(2); the descriptor or -errno. */
export function tryOpenat2(
  dirfd: number,
  path: string,
  flags: number,
  mode: number,
  resolve: number,
): number {
  const how = new Uint8Array(24);
  const view = viewOf(how);
  view.setBigUint64(0, BigInt(flags | O_CLOEXEC), true);
  view.setBigUint64(8, BigInt(mode), true);
  view.setBigUint64(16, BigInt(resolve), true);
  const name = cString(path);
  let result = -ERRNO.EAGAIN;
  for (let tries = 0; tries < EAGAIN_TRIES && result === -ERRNO.EAGAIN; tries++) {
    result = sys("openat2", dirfd, name, how, how.byteLength);
  }
  return result;
}

/** Opens a path inside a root file system: no link leads outside (rule R1). The descriptor or -errno. */
export function tryOpenInRoot(root: number, path: string, flags: number, mode = 0): number {
  return tryOpenat2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/** As {@link tryOpenInRoot}, throwing. */
export function openInRoot(root: number, path: string, flags: number, mode = 0): number {
  return check(tryOpenInRoot(root, path, flags, mode), { syscall: "openat2", path });
}

/**
 * Opens a path below a directory, by names that others may have made: it never leads out of that directory, over a link
 * or another mount. The descriptor or -errno.
 */
export function tryOpenBeneath(directory: number, path: string, flags: number): number {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return tryOpenat2(directory, path, flags, 0, resolve);
}

/** As {@link tryOpenBeneath} below the directory of that name, throwing. */
export function openBeneath(directory: string, path: string, flags: number): number {
  return withFd(open(directory, O_PATH | O_DIRECTORY), (fd) =>
    check(tryOpenBeneath(fd, path, flags), { syscall: "openat2", path: `${directory}/${path}` }),
  );
}

/** openat(2) of a host path; the descriptor or -errno. */
export function tryOpen(path: string, flags: number, mode = 0, dirfd: number = AT_FDCWD): number {
  return sys("openat", dirfd, cString(path), flags | O_CLOEXEC, mode);
}

/** As {@link tryOpen}, throwing. */
export function open(path: string, flags: number, mode = 0, dirfd: number = AT_FDCWD): number {
  return check(tryOpen(path, flags, mode, dirfd), { syscall: "openat", path });
}

export function close(fd: number): void {
  sys("close", fd);
}

/** Runs `use` with a descriptor and closes it afterwards, whatever happens. */
export function withFd<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}

/** One read(2); bytes read or -errno. */
export function tryRead(fd: number, buffer: Uint8Array): number {
  return sys("read", fd, buffer, buffer.byteLength);
}

/** Reads to the end of the file, at most `limit` bytes. */
export function readAll(fd: number, path?: string, limit = 64 << 20): Uint8Array {
  let buffer = new Uint8Array(8192);
  let length = 0;
  for (;;) {
    const n = check(sys("read", fd, buffer.subarray(length), buffer.byteLength - length), {
      syscall: "read",
      path,
    });
    if (n === 0) return buffer.subarray(0, length);
    length += n;
    if (length > limit)
      throw callError(ERRNO.EFBIG, { syscall: "read", path, message: `more than ${limit} bytes` });
    if (length === buffer.byteLength) {
      const larger = new Uint8Array(length * 2);
      larger.set(buffer);
      buffer = larger;
    }
  }
}

/** A host file's text. */
export function readText(path: string): string {
  return withFd(open(path, O_RDONLY), (fd) => textAll(readAll(fd, path)));
}

/** A host file's text, or undefined where it does not exist, or what it tells of (a process, a cgroup) has just gone. */
export function readTextIfAny(path: string): string | undefined {
  const fd = tryOpen(path, O_RDONLY);
  if (fd === -ERRNO.ENOENT || fd === -ERRNO.ENOTDIR) return undefined;
  return withFd(check(fd, { syscall: "openat", path }), (open) => {
    try {
      return textAll(readAll(open, path));
    } catch (error) {
      if (error instanceof CtrError && /^(ENODEV|ESRCH)$/.test(error.errno ?? "")) return undefined;
      throw error;
    }
  });
}

const textAll = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** Writes all bytes. */
export function writeAll(fd: number, bytes: Uint8Array, path?: string): void {
  for (let done = 0; done < bytes.byteLength; ) {
    done += check(sys("write", fd, bytes.subarray(done), bytes.byteLength - done), {
      syscall: "write",
      path,
    });
  }
}

/** One write(2) to an existing file, as procfs, sysfs and cgroupfs want it; 0 or -errno. */
export function tryWriteFile(path: string, text: string, dirfd: number = AT_FDCWD): number {
  const fd = tryOpen(path, O_WRONLY, 0, dirfd);
  if (fd < 0) return fd;
  const bytes = new TextEncoder().encode(text);
  const result = sys("write", fd, bytes, bytes.byteLength);
  close(fd);
  return Math.min(result, 0);
}

/** As {@link tryWriteFile}, throwing. */
export function writeFile(path: string, text: string, dirfd: number = AT_FDCWD): void {
  check(tryWriteFile(path, text, dirfd), { syscall: "write", path });
}

/** Writes a file under a temporary name beside it, syncs it (unless `sync` is false) and renames it into place. */
export function replaceFile(path: string, bytes: Uint8Array, mode: number, sync = true): void {
  const temporary = `${path}.${process.pid}.tmp`;
  // One that is there is left over from a process of the same number that was killed.
  tryUnlink(temporary);
  const fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
  try {
    writeAll(fd, bytes, temporary);
    if (sync) check(sys("fdatasync", fd), { syscall: "fdatasync", path: temporary });
    rename(temporary, path);
  } catch (error) {
    sys("unlinkat", AT_FDCWD, cString(temporary), 0);
    throw error;
  } finally {
    close(fd);
  }
}

export function rename(from: string, to: string, flags = 0): void {
  check(sys("renameat2", AT_FDCWD, cString(from), AT_FDCWD, cString(to), flags), {
    syscall: "rename",
    path: to,
  });
}

/** mkdirat(2); 0 or -errno. */
export function tryMkdir(path: string, mode: number, dirfd: number = AT_FDCWD): number {
  return sys("mkdirat", dirfd, cString(path), mode);
}

/** Makes a directory and its missing parents. Modes apply to what is made. */
export function mkdirAll(path: string, mode: number): void {
  const result = tryMkdir(path, mode);
  if (result === 0 || result === -ERRNO.EEXIST) return;
  const slash = path.lastIndexOf("/");
  if (result === -ERRNO.ENOENT && slash > 0) {
    mkdirAll(path.slice(0, slash), mode);
    const again = tryMkdir(path, mode);
    if (again === 0 || again === -ERRNO.EEXIST) return;
    check(again, { syscall: "mkdir", path });
  }
  check(result, { syscall: "mkdir", path });
}

/** unlinkat(2); 0 or -errno. `flags` may be AT_REMOVEDIR. */
export function tryUnlink(path: string, flags = 0, dirfd: number = AT_FDCWD): number {
  return sys("unlinkat", dirfd, cString(path), flags);
}

/** Removes directories that hold no other, the last one first; what is missing is fine. */
export function removeDirectories(paths: readonly string[]): void {
  for (const path of paths.toReversed()) {
    const result = tryUnlink(path, AT_REMOVEDIR);
    if (result !== -ERRNO.ENOENT) check(result, { syscall: "rmdir", path });
  }
}

/** Target of a symbolic link; undefined where the path is not one or does not exist. */
export function readlink(path: string, dirfd: number = AT_FDCWD): string | undefined {
  const buffer = new Uint8Array(4096);
  const n = sys("readlinkat", dirfd, cString(path), buffer, buffer.byteLength);
  return n < 0 ? undefined : textOf(buffer, n);
}

/** What statx(2) says of a file. Times in nanoseconds since 1970. */
export interface FileStatus {
  /** Type and permission bits. */
  readonly mode: number;
  /** S_IF* part of the mode. */
  readonly type: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly ino: bigint;
  readonly nlink: number;
  readonly blocks: number;
  readonly mtime: bigint;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly mountID: bigint;
}

/** statx(2) of a path or, with an empty path, of the descriptor itself; undefined where it does not exist. */
export function statusOf(
  path: string,
  dirfd: number = AT_FDCWD,
  flags: number = AT_SYMLINK_NOFOLLOW,
): FileStatus | undefined {
  const buffer = new Uint8Array(256);
  const all = path === "" ? flags | AT_EMPTY_PATH : flags;
  const result = sys("statx", dirfd, cString(path), all, STATX_BASIC_STATS | STATX_MNT_ID, buffer);
  if (result === -ERRNO.ENOENT || result === -ERRNO.ENOTDIR) return undefined;
  check(result, { syscall: "statx", path: path === "" ? `descriptor ${dirfd}` : path });
  const view = viewOf(buffer);
  const mode = view.getUint16(28, true);
  return {
    mode,
    type: mode & S_IFMT,
    nlink: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    ino: view.getBigUint64(32, true),
    size: Number(view.getBigUint64(40, true)),
    blocks: Number(view.getBigUint64(48, true)),
    mtime: view.getBigInt64(112, true) * 1_000_000_000n + BigInt(view.getUint32(120, true)),
    rdevMajor: view.getUint32(128, true),
    rdevMinor: view.getUint32(132, true),
    devMajor: view.getUint32(136, true),
    devMinor: view.getUint32(140, true),
    mountID: view.getBigUint64(144, true),
  };
}

/** Names in a directory, `.` and `..` left out, with their d_type (DT_*: S_IF* >> 12). */
export function listDirectory(fd: number): { name: string; type: number }[] {
  const entries: { name: string; type: number }[] = [];
  const buffer = new Uint8Array(32768);
  const view = viewOf(buffer);
  for (;;) {
    const n = sys("getdents64", fd, buffer, buffer.byteLength);
    // ENOENT: somebody removed the directory meanwhile.
    if (n === 0 || n === -ERRNO.ENOENT) return entries;
    check(n, { syscall: "getdents64" });
    for (let at = 0; at < n; at += view.getUint16(at + 16, true)) {
      const name = textOf(buffer.subarray(at + 19, at + view.getUint16(at + 16, true)));
      if (name !== "." && name !== "..") entries.push({ name, type: view.getUint8(at + 18) });
    }
  }
}

/** Removes a file or a whole tree without following links; what is missing is fine. Names in it may be any bytes. */
export function removeTree(path: string, dirfd: number = AT_FDCWD): void {
  removeTreeAt(dirfd, byteString(path));
}

/** A descriptor for the directory itself, for *at calls. */
export function openDirectory(path: string, dirfd: number = AT_FDCWD): number {
  return open(path, O_PATH | O_DIRECTORY, 0, dirfd);
}
