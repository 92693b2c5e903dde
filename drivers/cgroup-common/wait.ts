/**
 * Waiting for the kernel to get somewhere, by looking again and again, less and less often. Blocks the thread.
 */
import { words } from "../../src/kernel/memory.ts";
import { sys } from "../../src/kernel/raw.ts";

const FIRST_PAUSE = 100_000;
const LONGEST_PAUSE = 20_000_000;

/** Calls `done` until it says true; false after `limit` milliseconds. Pauses grow from 0.1 to 20 ms. */
export function waitUntil(done: () => boolean, limit: number): boolean {
  if (done()) return true;
  const end = performance.now() + limit;
  for (let pause = FIRST_PAUSE; performance.now() < end; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    sys("nanosleep", words(0, pause), 0);
    if (done()) return true;
  }
  return false;
}
