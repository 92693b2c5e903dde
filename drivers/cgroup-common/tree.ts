/**
 * A cgroup's directory and those below it: the processes in them, and removing them. Names below were made by whoever
 * had the cgroup, so they are only ever used one at a time, from the descriptor of the directory that they are in.
 */
import { callError, check } from "../../src/kernel/check.ts";
import { AT_REMOVEDIR, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close, listDirectory, readAll, tryOpen, tryUnlink, withFd } from "../../src/kernel/file.ts";
import { waitUntil } from "./wait.ts";

const DT_DIR = 4;
const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/** How long the last process may take to go, in milliseconds. */
const REMOVE_LIMIT = 10_000;

/** Calls `visit` with a descriptor of the directory and of each below it, children first. A missing one is fine. */
export function walkCgroups(path: string, visit: (fd: number) => void): void {
  const fd = tryOpen(path, DIRECTORY);
  if (fd === -ERRNO.ENOENT) return;
  withFd(check(fd, { syscall: "openat", path }), (directory) => walk(directory, visit));
}

function walk(directory: number, visit: (fd: number) => void): void {
  for (const name of childrenOf(directory)) {
    const fd = tryOpen(name, DIRECTORY, 0, directory);
    if (fd < 0) continue;
    withFd(fd, (child) => walk(child, visit));
  }
  visit(directory);
}

function childrenOf(directory: number): string[] {
  return listDirectory(directory)
    .filter((entry) => entry.type === DT_DIR)
    .map((entry) => entry.name);
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
 * missing is fine.
 */
export function removeCgroups(paths: readonly string[]): void {
  let left = paths.filter((path) => tryUnlink(path, AT_REMOVEDIR) !== 0);
  let errno = 0;
  const gone = waitUntil(() => {
    left = left.filter((path) => {
      const result = removeTree(path);
      if (result < 0) errno = -result;
      return result < 0;
    });
    return left.length === 0 || (errno !== ERRNO.EBUSY && errno !== ERRNO.ENOTEMPTY);
  }, REMOVE_LIMIT);
  const [path] = left;
  if (path === undefined) return;
  const pids = gone ? [] : cgroupProcesses(path);
  const who = pids.length === 0 ? "" : `: still in it: ${pids.slice(0, 8).join(" ")}`;
  throw callError(errno, { syscall: "rmdir", path, message: `cannot remove the cgroup${who}` });
}

/** 0 or -errno. */
function removeTree(path: string): number {
  const result = tryUnlink(path, AT_REMOVEDIR);
  if (result === 0 || result === -ERRNO.ENOENT) return 0;
  if (result !== -ERRNO.EBUSY && result !== -ERRNO.ENOTEMPTY) return result;
  const fd = tryOpen(path, DIRECTORY);
  if (fd < 0) return fd === -ERRNO.ENOENT ? 0 : fd;
  withFd(fd, removeChildren);
  const again = tryUnlink(path, AT_REMOVEDIR);
  return again === -ERRNO.ENOENT ? 0 : again;
}

function removeChildren(directory: number): void {
  for (const name of childrenOf(directory)) {
    if (tryUnlink(name, AT_REMOVEDIR, directory) === 0) continue;
    const fd = tryOpen(name, DIRECTORY, 0, directory);
    if (fd < 0) continue;
    withFd(fd, removeChildren);
    tryUnlink(name, AT_REMOVEDIR, directory);
  }
}
