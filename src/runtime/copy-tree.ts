/**
 * Copies a directory: into a new volume of an image, and into a tmpfs that covers it. Names, types, modes, owners, times,
 * xattrs, contents, hard links. Both sides are held by descriptors, and no link is followed (rule R1). Holes stay holes:
 * a file of any size may take no room. Names are byte strings. Not here: which directory.
 */

import {
  tryChmod,
  tryChmodAt,
  tryChown,
  tryChownAt,
  trySetTimes,
  trySetTimesAt,
} from "../kernel/attributes.ts";
import { check } from "../kernel/check.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  SEEK_SET,
} from "../kernel/constants.ts";
import {
  namesIn,
  readlinkAt,
  type Stat,
  shownName,
  statAt,
  tryLinkAt,
  tryMkdirAt,
  tryMknodAt,
  tryOpenAt,
  trySymlinkAt,
} from "../kernel/directory.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close, tryOpen, tryRead, writeAll } from "../kernel/file.ts";
import { sys } from "../kernel/raw.ts";
import { trySetXattr, xattrsOf } from "../kernel/xattr.ts";

const CHUNK = 256 * 1024;
const ZEROS = new Uint8Array(CHUNK);
/** lseek(2). */
const SEEK_CUR = 1;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** What may be different from a plain copy. */
export interface CopyOptions {
  /** Judges what is about to be read, by its status and path: throws where it must not be. */
  readonly judge?: (status: Stat, path: string) => void;
  /** The owner in the copy. */
  readonly owner?: (status: Stat, path: string) => { readonly uid: number; readonly gid: number };
  /** Whether the new directory itself gets the old one's attributes. */
  readonly itself: boolean;
}

/** What is the same for the whole copy: the new root, and files with several names by their place on disk. */
interface Copy extends CopyOptions {
  readonly root: number;
  readonly links: Map<string, string>;
}

/**
 * Copies what is in directory `from` (any descriptor of it) into the empty directory `to`. It yields now and then, where
 * the caller may do something else, or end it.
 */
export function* copyTree(from: number, to: number, options: CopyOptions): Generator<void, void> {
  const copy: Copy = { ...options, root: to, links: new Map() };
  const status = statAt(from);
  if (status !== undefined) yield* copyDirectory(from, to, "", status, copy);
}

/** Works with a descriptor and closes it. */
function* holding(
  fd: number,
  path: string,
  use: (fd: number) => Generator<void, void>,
): Generator<void, void> {
  check(fd, { syscall: "openat", path: shownName(path) });
  try {
    yield* use(fd);
  } finally {
    close(fd);
  }
}

/** What is in a directory, and then its own attributes. */
function* copyDirectory(
  place: number,
  to: number,
  prefix: string,
  status: Stat,
  copy: Copy,
): Generator<void, void> {
  copy.judge?.(status, prefix);
  // The descriptor may be only a place (O_PATH), which cannot be listed.
  yield* holding(tryOpenAt(place, ".", O_RDONLY | O_DIRECTORY), prefix, function* (from) {
    for (const name of namesIn(from)) {
      yield;
      const path = prefix === "" ? name : `${prefix}/${name}`;
      const source = tryOpenAt(from, name, O_PATH | O_NOFOLLOW);
      if (source === -ERRNO.ENOENT) continue;
      yield* holding(source, path, (entry) => copyEntry(name, entry, to, path, copy));
    }
    if (prefix !== "" || copy.itself) copyAttributes(from, to, status, prefix, copy);
  });
}

function* copyEntry(
  name: string,
  source: number,
  to: number,
  path: string,
  copy: Copy,
): Generator<void, void> {
  const status = statAt(source);
  if (status === undefined || status.type === S_IFSOCK) return;
  if (status.type === S_IFDIR) {
    checkAt(tryMkdirAt(to, name, 0o700), "mkdir", path);
    const made = tryOpenAt(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    yield* holding(made, path, (destination) => copyDirectory(source, destination, path, status, copy));
  } else if (linkAgain(name, to, path, status, copy)) return;
  else if (status.type === S_IFREG) yield* copyFile(name, source, to, path, status, copy);
  else {
    if (status.type === S_IFLNK) {
      checkAt(trySymlinkAt(readlinkAt(source) ?? "", to, name), "symlink", path);
    } else {
      const { rdevMajor, rdevMinor } = status;
      checkAt(tryMknodAt(to, name, status.type | status.mode, rdevMajor, rdevMinor), "mknod", path);
    }
    ownByName(name, to, path, status, copy);
  }
}

/** A further name of a file that was copied already. */
function linkAgain(name: string, to: number, path: string, status: Stat, copy: Copy): boolean {
  if (status.nlink < 2) return false;
  const key = `${status.devMajor}:${status.devMinor}:${status.inode}`;
  const first = copy.links.get(key);
  if (first === undefined) {
    copy.links.set(key, path);
    return false;
  }
  checkAt(tryLinkAt(copy.root, first, to, name), "linkat", path);
  return true;
}

function* copyFile(
  name: string,
  place: number,
  to: number,
  path: string,
  status: Stat,
  copy: Copy,
): Generator<void, void> {
  copy.judge?.(status, path);
  // Through its place, which was looked at: nothing else is opened, whoever changes names meanwhile.
  const source = tryOpen(`/proc/self/fd/${place}`, O_RDONLY | O_NONBLOCK);
  yield* holding(source, path, function* (from) {
    const made = tryOpenAt(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    yield* holding(made, path, function* (destination) {
      yield* copyBytes(from, destination, path, status.size);
      copyAttributes(from, destination, status, path, copy);
    });
  });
}

function* copyBytes(from: number, to: number, path: string, size: number): Generator<void, void> {
  const buffer = new Uint8Array(CHUNK);
  checkAt(sys("ftruncate", to, size), "ftruncate", path);
  for (let at = 0; at < size; ) {
    const data = sys("lseek", from, at, SEEK_DATA);
    // ENXIO: a hole up to the end.
    if (data === -ERRNO.ENXIO) return;
    const start = checkAt(data, "lseek", path);
    at = Math.min(checkAt(sys("lseek", from, start, SEEK_HOLE), "lseek", path), size);
    checkAt(sys("lseek", from, start, SEEK_SET), "lseek", path);
    checkAt(sys("lseek", to, start, SEEK_SET), "lseek", path);
    for (let left = at - start; left > 0; ) {
      yield;
      const n = checkAt(tryRead(from, buffer.subarray(0, Math.min(left, CHUNK))), "read", path);
      if (n === 0) return;
      // Unpacking a layer fills holes that its archive spells out as zeros: once on disk is enough.
      const bytes = buffer.subarray(0, n);
      if (Buffer.compare(bytes, ZEROS.subarray(0, n)) !== 0) writeAll(to, bytes, shownName(path));
      else checkAt(sys("lseek", to, n, SEEK_CUR), "lseek", path);
      left -= n;
    }
  }
}

function checkAt(result: number, syscall: string, path: string): number {
  return check(result, { syscall, path: shownName(path) });
}

/** Of a link or a special file, which cannot be opened. */
function ownByName(name: string, to: number, path: string, status: Stat, copy: Copy): void {
  const { uid, gid } = copy.owner?.(status, path) ?? status;
  checkAt(tryChownAt(to, name, uid, gid), "chown", path);
  if (status.type !== S_IFLNK) checkAt(tryChmodAt(to, name, status.mode), "chmod", path);
  checkAt(trySetTimesAt(to, name, status.seconds, status.nanoseconds), "utimensat", path);
}

/** Owner before mode: chown(2) takes set-ID bits away. Times last. */
function copyAttributes(from: number, to: number, status: Stat, path: string, copy: Copy): void {
  const { uid, gid } = copy.owner?.(status, path) ?? status;
  checkAt(tryChown(to, uid, gid), "fchown", path);
  copyXattrs(from, to, path);
  checkAt(tryChmod(to, status.mode), "fchmod", path);
  checkAt(trySetTimes(to, status.seconds, status.nanoseconds), "utimensat", path);
}

/**
 * Those of overlayfs itself stay behind: in the copy they would mean nothing, or the wrong thing. SELinux labels are the
 * mount's or the engine's to give. One that the copy's file system does not have is lost, as with cp(1).
 */
function copyXattrs(from: number, to: number, path: string): void {
  for (const [name, value] of xattrsOf(from)) {
    if (/^((trusted|user)\.overlay\.|security\.selinux$)/.test(name)) continue;
    const result = trySetXattr(to, name, value);
    if (result !== -ERRNO.EOPNOTSUPP) checkAt(result, "fsetxattr", path);
  }
}
