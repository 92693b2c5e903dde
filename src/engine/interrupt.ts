/**
 * Interrupts while a container is being made: SIGINT, SIGTERM and SIGHUP end the work at the next safe place instead
 * of ending ctr-bun on the spot, so that what was made is taken back. Once the program runs, runtime/ forwards them.
 */
import { constants } from "node:os";
import { fail } from "../error.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Runs `work` with a signal that aborts on an interrupt; its reason is the error to end with (exit code 128 + N). */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const handlers = SIGNALS.map((name) => {
    const handler = (): void =>
      controller.abort(
        fail({
          code: "INTERRUPTED",
          message: `interrupted by ${name}`,
          exitCode: 128 + constants.signals[name],
        }),
      );
    process.on(name, handler);
    return { name, handler };
  });
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    for (const { name, handler } of handlers) process.off(name, handler);
  }
}
