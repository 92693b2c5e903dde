/**
 * Extended attributes (xattr(7)). A file is given as a descriptor opened for reading, or as a name in a directory,
 * which is not followed. Names of files and of attributes are byte strings (directory.ts).
 */
import { check } from "./check.ts";
import { ERRNO } from "./errno.ts";
import { sys } from "./raw.ts";

/** Largest value, and largest list of names, that the kernel has (linux/limits.h). */
export const XATTR_SIZE_MAX = 65536;
/** Longest name of an attribute. */
export const XATTR_NAME_MAX = 255;

function cName(name: string): Buffer {
  return Buffer.from(`${name}\0`, "latin1");
}

/**
 * A path to a name in a directory that only has a descriptor. /proc/self/fd is our own, and the calls that are used
 * with it do not follow the last component; setxattrat(2) would do without, but is of Linux 6.13.
 */
function pathAt(dirfd: number, name: string): Buffer {
  return cName(`/proc/self/fd/${dirfd}/${name}`);
}

/** fsetxattr(2); 0 or -errno. */
export function trySetXattr(fd: number, name: string, value: Uint8Array): number {
  return sys("fsetxattr", fd, cName(name), value, value.byteLength, 0);
}

/** lsetxattr(2) of a name in a directory; 0 or -errno. */
export function trySetXattrAt(dirfd: number, file: string, name: string, value: Uint8Array): number {
  return sys("lsetxattr", pathAt(dirfd, file), cName(name), value, value.byteLength, 0);
}

/** fremovexattr(2); 0 or -errno. */
export function tryRemoveXattr(fd: number, name: string): number {
  return sys("fremovexattr", fd, cName(name));
}

/** Value of an attribute of a name in a directory (`.` is the directory itself); undefined where it has none. */
export function xattrAt(dirfd: number, file: string, name: string): Uint8Array | undefined {
  const value = Buffer.alloc(XATTR_SIZE_MAX);
  const n = sys("lgetxattr", pathAt(dirfd, file), cName(name), value, value.byteLength);
  return n < 0 ? undefined : Uint8Array.prototype.slice.call(value, 0, n);
}

const small = Buffer.alloc(16);

/** Whether a directory (any descriptor of it) has an attribute, whatever its value. */
export function xattrIn(dirfd: number, name: string): boolean {
  return sys("lgetxattr", pathAt(dirfd, "."), cName(name), null, 0) >= 0;
}

/** Whether an attribute of a directory (any descriptor of it) has exactly this short value. */
export function xattrIs(dirfd: number, name: string, value: string): boolean {
  const n = sys("lgetxattr", pathAt(dirfd, "."), cName(name), small, small.byteLength);
  return n === value.length && small.toString("latin1", 0, n) === value;
}

/** All attributes of an open file. None where the file system has none. */
export function xattrsOf(fd: number): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const list = Buffer.alloc(XATTR_SIZE_MAX);
  const n = sys("flistxattr", fd, list, list.byteLength);
  if (n === -ERRNO.EOPNOTSUPP || n === 0) return found;
  check(n, { syscall: "flistxattr" });
  const value = Buffer.alloc(XATTR_SIZE_MAX);
  for (const name of list.toString("latin1", 0, n).split("\0")) {
    const size = name === "" ? -1 : sys("fgetxattr", fd, cName(name), value, value.byteLength);
    if (size >= 0) found.set(name, Uint8Array.prototype.slice.call(value, 0, size));
  }
  return found;
}

/** All attributes of a name in a directory (`.` is the directory itself). None where the file system has none. */
export function xattrsAt(dirfd: number, file: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const list = Buffer.alloc(XATTR_SIZE_MAX);
  const n = sys("llistxattr", pathAt(dirfd, file), list, list.byteLength);
  if (n === -ERRNO.EOPNOTSUPP || n === -ERRNO.ENOENT) return found;
  check(n, { syscall: "llistxattr" });
  for (const name of list.toString("latin1", 0, n).split("\0")) {
    const value = name === "" ? undefined : xattrAt(dirfd, file, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}
