/**
 * Small text files of a root file system, which is hostile: links that lead anywhere, devices and pipes that never end,
 * files of any size (rules R1 and R5). And the one reading of passwd(5) that there is.
 */
import { type CtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_DIRECTORY, O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY, S_IFREG } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { readAll, statusOf, tryOpen, tryOpenInRoot, withFd } from "../kernel/file.ts";

/** What passwd and group files of any sense stay far below. */
const MAX_BYTES = 1024 * 1024;
/** The last ID there is: (uid_t) -1 means "leave as it is", and what is above it wraps around, possibly to 0. */
export const MAX_ID = 4294967294;

/**
 * Text of a regular file of at most 1 MiB inside a root; undefined where there is none.
 * @throws CtrError UNSAFE_FILE for anything else at that path.
 */
export function readRootFile(root: number, path: string): string | undefined {
  return readSmallFile((flags) => tryOpenInRoot(root, path, flags), "openat2", path);
}

/** `open` gives a descriptor or -errno. */
function readSmallFile(open: (flags: number) => number, syscall: string, path: string): string | undefined {
  const place = open(O_PATH);
  if (place === -ERRNO.ENOENT || place === -ERRNO.ENOTDIR) return undefined;
  if (place === -ERRNO.ELOOP) throw unsafeFile(path, "leads through too many links");
  // Looked at before it is opened: opening a device may already do something.
  withFd(check(place, { syscall, path }), (fd) => judge(fd, path));
  // O_NONBLOCK: should the file have changed meanwhile, opening a pipe would wait for ever.
  const fd = check(open(O_RDONLY | O_NONBLOCK | O_NOCTTY), { syscall, path });
  return withFd(fd, (file) => {
    judge(file, path);
    return new TextDecoder().decode(readAll(file, path, MAX_BYTES));
  });
}

function judge(fd: number, path: string): void {
  const { type, size } = statusOf("", fd) ?? { type: 0, size: 0 };
  const why = type !== S_IFREG ? "is not a regular file" : size > MAX_BYTES ? "is above 1 MiB" : undefined;
  if (why !== undefined) throw unsafeFile(path, why);
}

function unsafeFile(path: string, why: string): CtrError {
  return fail({
    code: "UNSAFE_FILE",
    message: `${path} of the image ${why}`,
    path,
    hint: "a user given as UID:GID needs no such file: -u 1000:1000",
  });
}

/** An ID in one of these files: a line whose ID is none, or wraps around, does not count. */
export function fileID(text: string): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= MAX_ID ? id : undefined;
}

/** A line of passwd(5). */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Absolute, or empty. */
  readonly home: string;
}

/** The lines that count. */
export function passwdEntries(text: string): PasswdEntry[] {
  const entries: PasswdEntry[] = [];
  for (const line of text.split("\n")) {
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
    const ids = [fileID(uid), fileID(gid)] as const;
    if (name === "" || name.startsWith("#") || ids[0] === undefined || ids[1] === undefined) continue;
    const isSafe = home.startsWith("/") && !home.includes("\0");
    entries.push({ name, uid: ids[0], gid: ids[1], home: isSafe ? home : "" });
  }
  return entries;
}

/** Where a user is at home: `/` without an entry, or one that says nothing. */
export function homeOf(uid: number, passwd: string): string {
  return passwdEntries(passwd).find((entry) => entry.uid === uid)?.home || "/";
}

/** A passwd file on the host: at `path` inside of the directory `root`, or, without it, `root` itself. */
export interface PasswdPlace {
  readonly root: string;
  readonly path?: string;
}

/** Its text; nothing where there is no such file, or where it is anything but a small regular one. */
export function readPasswd({ root, path }: PasswdPlace): string {
  try {
    if (path === undefined) return readSmallFile((flags) => tryOpen(root, flags), "openat", root) ?? "";
    const fd = tryOpen(root, O_PATH | O_DIRECTORY);
    return fd < 0 ? "" : withFd(fd, (directory) => readRootFile(directory, path) ?? "");
  } catch {
    return "";
  }
}
