/** Hearing others while the init is waited for: what a hook says, calls that wait for an answer. */
import { POLLIN } from "../kernel/constants.ts";
import { poll, type Watch } from "../kernel/poll.ts";

/** Somebody who has to be heard meanwhile. */
export interface Heard {
  /** What to poll for now. */
  watches(): Watch[];
  /** Takes the events of these. */
  handle(events: readonly number[]): void;
}

/**
 * Waits until the descriptor can be read; false: not within these milliseconds. Returns at once where nobody else is to
 * be heard and there is no limit: reading it waits as well.
 */
export function waitHearing(fd: number, all: readonly Heard[], milliseconds?: number): boolean {
  const end = milliseconds === undefined ? undefined : performance.now() + milliseconds;
  for (;;) {
    const watches = all.map((heard) => heard.watches());
    if (end === undefined && watches.every(({ length }) => length === 0)) return true;
    const left = end === undefined ? undefined : Math.max(end - performance.now(), 0);
    const [word = 0, ...events] = poll([{ fd, events: POLLIN }, ...watches.flat()], left);
    let from = 0;
    all.forEach((heard, index) => {
      const to = from + (watches[index]?.length ?? 0);
      heard.handle(events.slice(from, to));
      from = to;
    });
    if (word !== 0) return true;
    if (left === 0) return false;
  }
}
