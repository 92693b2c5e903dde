/** Stays with a program in the foreground: passes signals, terminal and window size on, and waits for its end. */
import type { KillWatch } from "../driver.ts";
import { POLLIN } from "../kernel/constants.ts";
import { close } from "../kernel/file.ts";
import { viewOf } from "../kernel/memory.ts";
import { poll } from "../kernel/poll.ts";
import { type Ending, tryKill, tryPidfd, waitAny, waitPid } from "../kernel/process.ts";
import { sys } from "../kernel/raw.ts";
import { SIGCHLD, SIGWINCH } from "../kernel/signal.ts";
import { relayTerminal } from "./console.ts";
import type { Notifications } from "./notify.ts";
import type { OwnAgent } from "./seccomp-agent.ts";

/** How long kills are not counted once they were, in milliseconds (KillWatch). */
const PAUSE = 100;
/** Of a process that ended, and somebody else has waited for. */
const UNKNOWN: Ending = { code: 255, signal: undefined };

/** Who else is heard meanwhile. */
export interface Attended {
  readonly notifications?: Notifications | undefined;
  readonly agent?: OwnAgent | undefined;
  readonly kills?: KillWatch;
}

/**
 * Waits for the process. `signals` comes from catchSignals(), or catchChildSignals(): then whatever child has ended is
 * waited for. `master` is the other side of its terminal. The service manager is told of ctr-bun itself: it is what that
 * has started, and ends with the program. `kills` are counted whenever they may have become more.
 */
export function attend(
  pid: number,
  signals: number,
  master: number | undefined,
  { notifications, agent, kills }: Attended = {},
): Ending {
  const pidfd = tryPidfd(pid);
  const relay = master === undefined ? undefined : relayTerminal(master);
  const numbers = new Uint8Array(256);
  const view = viewOf(numbers);
  let ended: Ending | undefined;
  let counted = Number.NEGATIVE_INFINITY;
  const reap = (): void => {
    for (let child = waitAny(); child !== undefined; child = waitAny())
      if (child.pid === pid) ended = child.ending;
  };
  try {
    for (;;) {
      const heard = notifications?.watches() ?? [];
      const pause = counted + PAUSE - performance.now();
      const counts = pause > 0 ? [] : (kills?.fds ?? []).map((fd) => ({ fd, events: POLLIN }));
      const asked = agent?.watches() ?? [];
      const events = poll(
        [
          { fd: pidfd, events: POLLIN },
          { fd: signals, events: POLLIN },
          ...heard,
          ...asked,
          ...counts,
          ...(relay?.watches() ?? []),
        ],
        pause > 0 ? pause : undefined,
      );
      if (events[1] !== 0) {
        const n = sys("read", signals, numbers, numbers.byteLength);
        for (let at = 0; at < n; at += 4) {
          const signal = view.getInt32(at, true);
          if (signal === SIGCHLD) reap();
          else if (signal === SIGWINCH && relay !== undefined) relay.resize();
          else tryKill(pid, signal);
        }
      }
      const called = 2 + heard.length;
      const counting = called + asked.length;
      const relayed = counting + counts.length;
      notifications?.handle(events.slice(2, called), process.pid);
      agent?.handle(events.slice(called, counting));
      if (events.slice(counting, relayed).some((each) => each !== 0)) {
        kills?.count();
        counted = performance.now();
      }
      relay?.handle(events.slice(relayed));
      if (pidfd < 0 || events[0] !== 0) {
        return ended ?? waitPid(pid) ?? UNKNOWN;
      }
    }
  } finally {
    relay?.end();
    notifications?.close();
    agent?.end();
    if (pidfd >= 0) close(pidfd);
  }
}
