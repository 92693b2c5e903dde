/**
 * Copies a directory of an image into a new volume: names, types, modes, owners, times, xattrs, contents, hard links.
 * Both sides are held by descriptors, and no link is followed (rule R1). Holes stay holes: an image can name a file of
 * any size that takes no room. Not here: which directory.
 */
import { check } from "../kernel/check.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  SEEK_SET,
} from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import {
  close,
  type FileStatus,
  listDirectory,
  open,
  readlink,
  statusOf,
  tryMkdir,
  tryRead,
  writeAll,
} from "../kernel/file.ts";
import { cString, words } from "../kernel/memory.ts";
import { sys } from "../kernel/raw.ts";

const CHUNK = 256 * 1024;
const ZEROS = new Uint8Array(CHUNK);
const MAX_XATTR = 65536;
/** lseek(2). */
const SEEK_CUR = 1;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** How long the copy goes on without letting the event loop turn, in milliseconds: interrupts are heard there. */
const TURN = 20;

/** What is the same for the whole copy: the new root, and files with several names by their place on disk. */
interface Copy {
  readonly root: number;
  readonly links: Map<string, string>;
  readonly signal: AbortSignal | undefined;
  turned: number;
}

/** Copies what is in directory `from` into the empty directory `to`, and makes `to` itself like `from`. */
export async function copyTree(from: number, to: number, signal?: AbortSignal): Promise<void> {
  const copy: Copy = { root: to, links: new Map(), signal, turned: performance.now() };
  await copyEntries(from, to, "", copy);
  const status = statusOf("", from);
  if (status !== undefined) copyAttributes(from, to, status);
}

/** Lets the event loop turn where it is time to. @throws the signal's reason. */
async function pause(copy: Copy): Promise<void> {
  if (performance.now() - copy.turned > TURN) {
    await Bun.sleep(0);
    copy.turned = performance.now();
  }
  copy.signal?.throwIfAborted();
}

/** As withFd, for work that pauses. */
async function holding<T>(fd: number, use: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await use(fd);
  } finally {
    close(fd);
  }
}

async function copyEntries(from: number, to: number, prefix: string, copy: Copy): Promise<void> {
  for (const { name } of listDirectory(from)) {
    await pause(copy);
    const status = statusOf(name, from);
    if (status === undefined || status.type === S_IFSOCK) continue;
    const path = prefix === "" ? name : `${prefix}/${name}`;
    if (status.type === S_IFDIR) await copyDirectory(name, from, to, path, copy);
    else if (!linkAgain(name, to, path, status, copy)) await copyEntry(name, from, to, status, copy);
  }
}

async function copyDirectory(
  name: string,
  from: number,
  to: number,
  path: string,
  copy: Copy,
): Promise<void> {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  check(tryMkdir(name, 0o700, to), { syscall: "mkdir", path });
  await holding(open(name, flags, 0, from), (source) =>
    holding(open(name, flags, 0, to), async (destination) => {
      await copyEntries(source, destination, path, copy);
      const status = statusOf("", source);
      if (status !== undefined) copyAttributes(source, destination, status);
    }),
  );
}

/** A further name of a file that was copied already. */
function linkAgain(name: string, to: number, path: string, status: FileStatus, copy: Copy): boolean {
  if (status.nlink < 2) return false;
  const key = `${status.devMajor}:${status.devMinor}:${status.ino}`;
  const first = copy.links.get(key);
  if (first === undefined) {
    copy.links.set(key, path);
    return false;
  }
  check(sys("linkat", copy.root, cString(first), to, cString(name), 0), { syscall: "linkat", path });
  return true;
}

async function copyEntry(
  name: string,
  from: number,
  to: number,
  status: FileStatus,
  copy: Copy,
): Promise<void> {
  if (status.type === S_IFREG) {
    await holding(open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, from), (source) =>
      holding(open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600, to), async (destination) => {
        await copyBytes(source, destination, name, status.size, copy);
        copyAttributes(source, destination, status);
      }),
    );
    return;
  }
  if (status.type === S_IFLNK) {
    const target = readlink(name, from) ?? "";
    check(sys("symlinkat", cString(target), to, cString(name)), { syscall: "symlink", path: name });
  } else {
    const { rdevMajor: major, rdevMinor: minor } = status;
    const device = ((major & 0xfff) << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12);
    check(sys("mknodat", to, cString(name), status.mode, device), { syscall: "mknod", path: name });
  }
  ownByName(name, to, status);
}

function ownByName(name: string, to: number, status: FileStatus): void {
  const path = cString(name);
  check(sys("fchownat", to, path, status.uid, status.gid, AT_SYMLINK_NOFOLLOW), {
    syscall: "chown",
    path: name,
  });
  if (status.type !== S_IFLNK) {
    check(sys("fchmodat", to, path, status.mode & 0o7777), { syscall: "chmod", path: name });
  }
  check(sys("utimensat", to, path, timesOf(status), AT_SYMLINK_NOFOLLOW), {
    syscall: "utimensat",
    path: name,
  });
}

async function copyBytes(from: number, to: number, path: string, size: number, copy: Copy): Promise<void> {
  const buffer = new Uint8Array(CHUNK);
  check(sys("ftruncate", to, size), { syscall: "ftruncate", path });
  for (let at = 0; at < size; ) {
    const data = sys("lseek", from, at, SEEK_DATA);
    // ENXIO: a hole up to the end.
    if (data === -ERRNO.ENXIO) return;
    const start = check(data, { syscall: "lseek", path });
    at = Math.min(check(sys("lseek", from, start, SEEK_HOLE), { syscall: "lseek", path }), size);
    check(sys("lseek", from, start, SEEK_SET), { syscall: "lseek", path });
    check(sys("lseek", to, start, SEEK_SET), { syscall: "lseek", path });
    for (let left = at - start; left > 0; ) {
      await pause(copy);
      const n = check(tryRead(from, buffer.subarray(0, Math.min(left, CHUNK))), { syscall: "read", path });
      if (n === 0) return;
      // Unpacking a layer fills holes that its archive spells out as zeros: once on disk is enough.
      const bytes = buffer.subarray(0, n);
      if (Buffer.compare(bytes, ZEROS.subarray(0, n)) !== 0) writeAll(to, bytes, path);
      else check(sys("lseek", to, n, SEEK_CUR), { syscall: "lseek", path });
      left -= n;
    }
  }
}

/** Owner before mode: chown(2) takes set-ID bits away. Times last. */
function copyAttributes(from: number, to: number, status: FileStatus): void {
  check(sys("fchown", to, status.uid, status.gid), { syscall: "fchown" });
  copyXattrs(from, to);
  check(sys("fchmod", to, status.mode & 0o7777), { syscall: "fchmod" });
  check(sys("utimensat", to, null, timesOf(status), 0), { syscall: "utimensat" });
}

function timesOf(status: FileStatus): Uint8Array {
  const seconds = status.mtime / 1_000_000_000n;
  const rest = status.mtime % 1_000_000_000n;
  return words(seconds, rest, seconds, rest);
}

/** Those of overlayfs itself stay behind: on a volume they would mean nothing, or the wrong thing. */
function copyXattrs(from: number, to: number): void {
  const names = new Uint8Array(MAX_XATTR);
  const length = sys("flistxattr", from, names, names.byteLength);
  if (length <= 0) return;
  const value = new Uint8Array(MAX_XATTR);
  for (const name of new TextDecoder().decode(names.subarray(0, length)).split("\0")) {
    if (name === "" || name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.")) continue;
    const size = sys("fgetxattr", from, cString(name), value, value.byteLength);
    if (size < 0) continue;
    check(sys("fsetxattr", to, cString(name), value, size, 0), { syscall: "fsetxattr", path: name });
  }
}
