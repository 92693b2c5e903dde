/**
 * Names in directories, byte for byte: what file.ts does with text, here with names that may be any bytes. A name is
 * a *byte string*: a JavaScript string of one character (0 to 255) for each byte, so that nothing is lost and no
 * text is decoded on the way. Calls return the kernel's result or -errno. Nothing here follows the last component.
 */
import { check } from "./check.ts";
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  S_IFMT,
  STATX_BASIC_STATS,
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { viewOf } from "./memory.ts";
import { sys } from "./raw.ts";

/** Longest path that the kernel takes, its NUL included (linux/limits.h). */
export const PATH_MAX = 4096;

const first = Buffer.alloc(PATH_MAX);
const second = Buffer.alloc(PATH_MAX);

/** The NUL-terminated bytes of a name, in a buffer that the next call overwrites; undefined when it does not fit. */
function put(buffer: Buffer, name: string): Buffer | undefined {
  if (name.length >= PATH_MAX) return undefined;
  buffer.write(name, 0, "latin1");
  buffer[name.length] = 0;
  return buffer;
}

const TOO_LONG = -ERRNO.ENAMETOOLONG;

/** Text as a byte string: its UTF-8. */
export function byteString(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** A byte string for people, as far as it is UTF-8. */
export function shownName(name: string): string {
  const text = Buffer.from(name, "latin1").toString();
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

/** openat(2); CLOEXEC is added. */
export function tryOpenAt(dirfd: number, name: string, flags: number, mode = 0): number {
  const path = put(first, name);
  return path === undefined ? TOO_LONG : sys("openat", dirfd, path, flags | O_CLOEXEC, mode);
}

/** openat2(2) below `root` with the RESOLVE_* flags given; tried again on EAGAIN. */
export function tryResolveAt(root: number, path: string, flags: number, resolve: number): number {
  const bytes = put(first, path === "" ? "." : path);
  if (bytes === undefined) return TOO_LONG;
  const how = new Uint8Array(24);
  const view = viewOf(how);
  view.setUint32(0, flags | O_CLOEXEC, true);
  view.setUint32(16, resolve, true);
  let result = -ERRNO.EAGAIN;
  for (let tries = 0; tries < 128 && result === -ERRNO.EAGAIN; tries++) {
    result = sys("openat2", root, bytes, how, how.byteLength);
  }
  return result;
}

/** mkdirat(2). */
export function tryMkdirAt(dirfd: number, name: string, mode: number): number {
  const path = put(first, name);
  return path === undefined ? TOO_LONG : sys("mkdirat", dirfd, path, mode);
}

/** mknodat(2); the device number is put together as the kernel's new_encode_dev does (12 and 20 bits). */
export function tryMknodAt(dirfd: number, name: string, mode: number, major = 0, minor = 0): number {
  const device = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
  const path = put(first, name);
  return path === undefined ? TOO_LONG : sys("mknodat", dirfd, path, mode, device >>> 0);
}

/** symlinkat(2). */
export function trySymlinkAt(target: string, dirfd: number, name: string): number {
  const to = put(first, target);
  const path = put(second, name);
  return to === undefined || path === undefined ? TOO_LONG : sys("symlinkat", to, dirfd, path);
}

/** linkat(2) without AT_SYMLINK_FOLLOW: a link to a symbolic link is one. */
export function tryLinkAt(fromDir: number, from: string, toDir: number, to: string): number {
  const source = put(first, from);
  const path = put(second, to);
  return source === undefined || path === undefined
    ? TOO_LONG
    : sys("linkat", fromDir, source, toDir, path, 0);
}

/** unlinkat(2). */
export function tryUnlinkAt(dirfd: number, name: string, flags = 0): number {
  const path = put(first, name);
  return path === undefined ? TOO_LONG : sys("unlinkat", dirfd, path, flags);
}

/** Target of a symbolic link; with an empty name, of the link that `dirfd` (O_PATH) is. Undefined if it is none. */
export function readlinkAt(dirfd: number, name = ""): string | undefined {
  const path = put(first, name);
  if (path === undefined) return undefined;
  const n = sys("readlinkat", dirfd, path, second, second.byteLength);
  return n < 0 ? undefined : second.toString("latin1", 0, n);
}

/** What is known of a file, in numbers alone: cheap to make by the ten thousand. */
export interface Stat {
  /** S_IF* part of the mode. */
  readonly type: number;
  /** The other twelve bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  /** Of 512 bytes each. */
  readonly blocks: number;
  readonly inode: number;
  /** Seconds since 1970, negative before. */
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

const statx = Buffer.alloc(256);
const statxView = viewOf(statx);

/** statx(2) of a name, or with an empty one of the descriptor itself; undefined for any failure. */
export function statAt(dirfd: number, name = ""): Stat | undefined {
  const path = put(first, name);
  if (path === undefined) return undefined;
  const flags = AT_SYMLINK_NOFOLLOW | (name === "" ? AT_EMPTY_PATH : 0);
  if (sys("statx", dirfd, path, flags, STATX_BASIC_STATS, statx) < 0) return undefined;
  const view = statxView;
  const mode = view.getUint16(28, true);
  return {
    type: mode & S_IFMT,
    mode: mode & 0o7777,
    nlink: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    inode: number64(view, 32),
    size: number64(view, 40),
    blocks: number64(view, 48),
    seconds: view.getUint32(112, true) + view.getInt32(116, true) * 0x1_0000_0000,
    nanoseconds: view.getUint32(120, true),
    rdevMajor: view.getUint32(128, true),
    rdevMinor: view.getUint32(132, true),
    devMajor: view.getUint32(136, true),
    devMinor: view.getUint32(140, true),
  };
}

function number64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** Names in a directory that was opened for reading, `.` and `..` left out. `type`: of this d_type (DT_*) alone. */
export function namesIn(fd: number, type?: number): string[] {
  const names: string[] = [];
  const buffer = Buffer.alloc(32768);
  for (;;) {
    const n = sys("getdents64", fd, buffer, buffer.byteLength);
    // ENOENT: somebody removed the directory meanwhile.
    if (n === 0 || n === -ERRNO.ENOENT) return names;
    check(n, { syscall: "getdents64" });
    for (let at = 0; at < n; at += buffer.readUInt16LE(at + 16)) {
      if (type !== undefined && buffer[at + 18] !== type) continue;
      const name = buffer.toString("latin1", at + 19, buffer.indexOf(0, at + 19));
      if (name !== "." && name !== "..") names.push(name);
    }
  }
}

/** Removes a file, or a directory with all below it. What is missing is fine; the rest throws. */
export function removeTreeAt(dirfd: number, name: string): void {
  const result = tryUnlinkAt(dirfd, name);
  if (result === 0 || result === -ERRNO.ENOENT) return;
  const context = { syscall: "unlinkat", path: shownName(name) } as const;
  if (result !== -ERRNO.EISDIR && result !== -ERRNO.EPERM) check(result, context);
  if (tryUnlinkAt(dirfd, name, AT_REMOVEDIR) === 0) return;
  const fd = tryOpenAt(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd === -ERRNO.ENOENT) return;
  check(fd, { syscall: "openat", path: shownName(name) });
  try {
    removeChildren(fd);
  } finally {
    sys("close", fd);
  }
  const removed = tryUnlinkAt(dirfd, name, AT_REMOVEDIR);
  if (removed !== -ERRNO.ENOENT) check(removed, context);
}

/** Empties a directory that was opened for reading. */
export function removeChildren(fd: number): void {
  for (const name of namesIn(fd)) removeTreeAt(fd, name);
}
