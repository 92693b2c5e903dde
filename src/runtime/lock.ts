/**
 * One at a time: verbs that work in a container hold its state directory shared (flock(2)), what changes its record or
 * takes it away holds it alone. The kernel lets go of it however a process ends. Not here: what is done meanwhile.
 */
import { check } from "../kernel/check.ts";
import { LOCK_EX, LOCK_NB, LOCK_SH, O_DIRECTORY, O_RDONLY } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close, statusOf, tryOpen } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { sys } from "../kernel/raw.ts";
import { stateDirectory } from "./state.ts";

/** How long a container's removal waits for others to let go, in milliseconds: they may hang with what they do. */
const PATIENCE = 10_000;
const LOOK_AGAIN = 5;

/** The descriptor of a directory that is still the one of that name; undefined where there is none. */
function hold(root: string, id: string, take: (fd: number) => void): number | undefined {
  const path = stateDirectory(root, id);
  for (;;) {
    const fd = tryOpen(path, O_RDONLY | O_DIRECTORY);
    if (fd === -ERRNO.ENOENT) return undefined;
    check(fd, { syscall: "openat", path });
    try {
      take(fd);
      // While it waited, the container may have gone, and another one have got its ID.
      if (statusOf("", fd)?.ino === statusOf(path)?.ino) return fd;
    } catch (error) {
      close(fd);
      throw error;
    }
    close(fd);
  }
}

function lock(fd: number, how: number): number {
  let result: number;
  do result = sys("flock", fd, how);
  while (result === -ERRNO.EINTR);
  return result;
}

/** A container's directory that is claimed, and held by a descriptor: its inode is that of no other one meanwhile. */
export function holdDirectory(root: string, id: string): number {
  const path = stateDirectory(root, id);
  return check(tryOpen(path, O_RDONLY | O_DIRECTORY), { syscall: "openat", path });
}

/** As {@link takeAway}, where the directory is still the one of that name that {@link holdDirectory} has given. */
export function whileHeld(root: string, id: string, fd: number, work: () => void): void {
  lockPatiently(fd);
  if (statusOf("", fd)?.ino === statusOf(stateDirectory(root, id))?.ino) work();
}

/** Does it while the container is not taken away; also where it is not there: then what needs it will say so. */
export function whileKept<T>(root: string, id: string, work: () => T): T {
  const fd = hold(root, id, (directory) => check(lock(directory, LOCK_SH), { syscall: "flock" }));
  try {
    return work();
  } finally {
    if (fd !== undefined) close(fd);
  }
}

/** Does it alone. */
export function whileAlone<T>(root: string, id: string, work: () => T): T {
  const fd = hold(root, id, (directory) => check(lock(directory, LOCK_EX), { syscall: "flock" }));
  try {
    return work();
  } finally {
    if (fd !== undefined) close(fd);
  }
}

function lockPatiently(directory: number): void {
  for (let waited = 0; waited < PATIENCE; waited += LOOK_AGAIN) {
    const result = lock(directory, LOCK_EX | LOCK_NB);
    if (result !== -ERRNO.EAGAIN) {
      check(result, { syscall: "flock" });
      return;
    }
    poll([], LOOK_AGAIN);
  }
}

/**
 * Takes it away alone, once others have let go or patience is at its end; `undefined`, and nothing done, where it is not
 * there any more.
 */
export function takeAway<T>(root: string, id: string, work: () => T): T | undefined {
  const fd = hold(root, id, lockPatiently);
  if (fd === undefined) return undefined;
  try {
    return work();
  } finally {
    close(fd);
  }
}
