/** Waiting for descriptors (ppoll(2)). Blocks the thread: for processes that have nothing else to do. */

import { check } from "./check.ts";
import { ERRNO } from "./errno.ts";
import { viewOf } from "./memory.ts";
import { sys } from "./raw.ts";

/** A descriptor and the events (POLLIN, POLLOUT) to wait for. A negative descriptor is left out. */
export interface Watch {
  readonly fd: number;
  readonly events: number;
}

/** Waits until something happens and returns the events of each, in order. `milliseconds` undefined: for ever. */
export function poll(watches: readonly Watch[], milliseconds?: number): number[] {
  const list = new Uint8Array(watches.length * 8);
  const view = viewOf(list);
  watches.forEach(({ fd, events }, index) => {
    view.setInt32(index * 8, fd, true);
    view.setInt16(index * 8 + 4, events, true);
  });
  let timeout: Uint8Array | null = null;
  if (milliseconds !== undefined) {
    timeout = new Uint8Array(16);
    viewOf(timeout).setBigInt64(0, BigInt(Math.floor(milliseconds / 1000)), true);
    viewOf(timeout).setBigInt64(8, BigInt(Math.floor((milliseconds % 1000) * 1e6)), true);
  }
  let result: number;
  do result = sys("ppoll", list, watches.length, timeout, null, 8);
  while (result === -ERRNO.EINTR);
  check(result, { syscall: "ppoll" });
  return watches.map((_, index) => view.getInt16(index * 8 + 6, true));
}
