/**
 * Sending a signal to every process of a cgroup. A PID may belong to another process by the time it is used, so each is
 * held by a pidfd first, and signalled only if the cgroup still lists it then.
 */
import { SIGKILL } from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close } from "../../src/kernel/file.ts";
import { sys } from "../../src/kernel/raw.ts";

/** Rounds in which new processes may turn up without a freezer to hold them still. */
const ROUNDS = 100;

/** Signals those that `list` names; returns how many there were. What is gone meanwhile is fine. */
export function signalOnce(
  list: () => number[],
  signal: number,
  skip: ReadonlySet<number> = new Set(),
): number[] {
  const held = new Map<number, number>();
  for (const pid of list()) {
    if (skip.has(pid)) continue;
    const pidfd = sys("pidfd_open", pid, 0);
    // Not a thread group's leader (EINVAL, ENOENT), or gone (ESRCH): nobody to signal.
    if (pidfd >= 0) held.set(pid, pidfd);
    else if (pidfd === -ERRNO.EMFILE || pidfd === -ERRNO.ENFILE) break;
  }
  const still = new Set(held.size === 0 ? [] : list());
  for (const [pid, pidfd] of held) {
    if (still.has(pid)) sys("pidfd_send_signal", pidfd, signal, 0, 0);
    close(pidfd);
  }
  return [...held.keys()];
}

/**
 * Signals all, also those that turn up while it is at it: until a round finds nobody new. For SIGKILL, until nobody
 * is left, or too many rounds have passed (a fork bomb that only a freezer or cgroup.kill can stop).
 */
export function signalAll(list: () => number[], signal: number): void {
  const done = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    const reached = signalOnce(list, signal, signal === SIGKILL ? undefined : done);
    if (reached.length === 0) return;
    for (const pid of reached) done.add(pid);
  }
}
