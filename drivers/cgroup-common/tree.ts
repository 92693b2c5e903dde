/**
 * A cgroup's directory and those below it: the processes in them, and removing them. Names below were made by whoever
 * had the cgroup: they may be any bytes, and are only ever used one at a time, from the descriptor of the directory that
 * they are in.
 */
import { fail } from "../../src/error.ts";
import { callError, check } from "../../src/kernel/check.ts";
import {
  AT_REMOVEDIR,
  CGROUP_SUPER_MAGIC,
  CGROUP2_SUPER_MAGIC,
  DT_DIR,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from "../../src/kernel/constants.ts";
import { namesIn, tryOpenAt, tryUnlinkAt } from "../../src/kernel/directory.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close, readAll, tryOpen, tryUnlink } from "../../src/kernel/file.ts";
import { type FileSystem, tryFileSystemOf } from "../../src/kernel/file-system.ts";
import { waitUntil } from "./wait.ts";

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/** Descriptors of directories that a walk holds at once. */
const MOST_HELD = 64;
/** How long the last process may take to go, in milliseconds. */
const REMOVE_LIMIT = 10_000;

/** Calls `visit` with a descriptor of the directory and of each below it, children first. A missing one is fine. */
export function walkCgroups(path: string, visit: (fd: number) => void): void {
  const fd = tryOpen(path, DIRECTORY);
  if (fd === -ERRNO.ENOENT) return;
  walk(check(fd, { syscall: "openat", path }), visit);
}

/** A directory on the way down: `names` are those in it that are still to be entered. */
interface Level {
  /** -1: closed on the way down, and had again by `..` on the way back. */
  fd: number;
  readonly name: string;
  names: string[];
}

/**
 * Goes through the tree, and closes `top`. `left` is called on the way back, with the directory above and the name of the
 * one that was left. A container may nest cgroups deeper than there are descriptors or stack to be had, so there is a
 * bound to both. No directory can be moved elsewhere in a cgroup file system (rename(2) gives EIO or EPERM), so `..` of
 * one leads where it was entered from; where it is gone by then, what is left below that level is passed over.
 */
function walk(top: number, visit: (fd: number) => void, left?: (above: number, name: string) => void): void {
  const first: Level = { fd: top, name: "", names: [] };
  const levels = [first];
  try {
    first.names = namesIn(top, DT_DIR);
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names.pop();
      if (name !== undefined) {
        const fd = tryOpenAt(level.fd, name, DIRECTORY);
        if (fd < 0) continue;
        if (levels.length > MOST_HELD) level.fd = closed(level.fd);
        const next: Level = { fd, name, names: [] };
        levels.push(next);
        next.names = namesIn(fd, DT_DIR);
        continue;
      }
      visit(level.fd);
      leave(levels, level, left);
    }
  } finally {
    for (const { fd } of levels) if (fd >= 0) close(fd);
  }
}

/** Goes back to the nearest directory above that there still is. */
function leave(levels: Level[], level: Level, left?: (above: number, name: string) => void): void {
  levels.pop();
  const above = levels.at(-1);
  if (above !== undefined && above.fd < 0) above.fd = tryOpen("..", DIRECTORY, 0, level.fd);
  level.fd = closed(level.fd);
  if (above === undefined) return;
  if (above.fd >= 0) left?.(above.fd, level.name);
  else while ((levels.at(-1)?.fd ?? 0) < 0) levels.pop();
}

function closed(fd: number): -1 {
  close(fd);
  return -1;
}

/**
 * The processes in the cgroup and below it, by their PIDs in ctr-bun's own pid namespace; those outside of it are
 * left out (the kernel shows them as 0).
 */
export function cgroupProcesses(path: string): number[] {
  const pids = new Set<number>();
  walkCgroups(path, (fd) => {
    for (const pid of readPids(fd)) pids.add(pid);
  });
  return [...pids];
}

function readPids(directory: number): number[] {
  // In a threaded cgroup of v2 only the threads can be read: of one process, those that are there.
  for (const file of ["cgroup.procs", "cgroup.threads"]) {
    const fd = tryOpen(file, O_RDONLY, 0, directory);
    if (fd < 0) continue;
    try {
      const pids = new TextDecoder().decode(readAll(fd, file)).split("\n").map(Number);
      return pids.filter((pid) => pid > 0);
    } catch {
      // EOPNOTSUPP, or ENODEV: the cgroup was removed meanwhile.
    } finally {
      close(fd);
    }
  }
  return [];
}

/**
 * Removes the directories, and those below them. Waits for the last process up to 10 seconds altogether; what is
 * missing is fine, and what is no cgroup (any more) is an error and left alone.
 */
export function removeCgroups(paths: readonly string[]): void {
  let left = paths.map((path): Left => ({ path, errno: 0 }));
  waitUntil(() => {
    left = left.map(({ path }) => ({ path, errno: -removeTree(path) })).filter(({ errno }) => errno !== 0);
    return !left.some(({ errno }) => errno === ERRNO.EBUSY || errno === ERRNO.ENOTEMPTY);
  }, REMOVE_LIMIT);
  const [first] = left;
  if (first !== undefined) throw leftError(first);
}

interface Left {
  readonly path: string;
  readonly errno: number;
}

/** What removeTree() says of a directory that lies in another file system. */
const NO_CGROUP = ERRNO.EXDEV;

const STILL_THERE =
  "it cannot end: a cgroup above is frozen, or it is in an uninterruptible sleep (state D in ps); try again afterwards";

function leftError({ path, errno }: Left): Error {
  if (errno === NO_CGROUP) {
    return fail({
      code: "CGROUP",
      message: "the directory is no cgroup any more, and is left alone",
      path,
      hint: "the hierarchy is mounted elsewhere by now, or something else is mounted in its place",
    });
  }
  const pids = errno === ERRNO.EBUSY ? cgroupProcesses(path) : [];
  const who = pids.length === 0 ? "" : `: still in it: ${pids.slice(0, 8).join(" ")}`;
  const hint = pids.length === 0 ? undefined : STILL_THERE;
  return callError(errno, { syscall: "rmdir", path, message: `cannot remove the cgroup${who}`, hint });
}

/** 0 or -errno. An ordinary directory may stand where a hierarchy was mounted: it is looked at first. */
function removeTree(path: string): number {
  const found = tryFileSystemOf(path);
  if (typeof found === "number") return found === -ERRNO.ENOENT ? 0 : found;
  if (!isCgroup(found)) return -NO_CGROUP;
  const result = tryUnlink(path, AT_REMOVEDIR);
  if (result === 0 || result === -ERRNO.ENOENT) return 0;
  if (result !== -ERRNO.EBUSY && result !== -ERRNO.ENOTEMPTY) return result;
  const fd = tryOpen(path, DIRECTORY);
  if (fd < 0) return fd === -ERRNO.ENOENT ? 0 : fd;
  if (!isCgroup(tryFileSystemOf(fd))) {
    close(fd);
    return -NO_CGROUP;
  }
  walk(
    fd,
    () => undefined,
    (above, name) => tryUnlinkAt(above, name, AT_REMOVEDIR),
  );
  const again = tryUnlink(path, AT_REMOVEDIR);
  return again === -ERRNO.ENOENT ? 0 : again;
}

function isCgroup(found: FileSystem | number): boolean {
  return (
    typeof found !== "number" && (found.type === CGROUP2_SUPER_MAGIC || found.type === CGROUP_SUPER_MAGIC)
  );
}
