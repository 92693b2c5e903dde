/**
 * Signals as people write them. Not here: their numbers (kernel/signal.ts), or sending them (runtime).
 */
import { fail } from "../error.ts";
import { signalNumber } from "../kernel/signal.ts";

/** The number of `TERM`, `SIGTERM`, `15`, `RTMIN+3`. */
export function parseSignal(text: string, field: string): number {
  const number = signalNumber(text);
  if (number !== undefined) return number;
  throw fail({
    code: "INVALID_FLAG",
    field,
    message: `${JSON.stringify(text)} is not a signal`,
    hint: "write a name such as TERM or SIGTERM, or a number from 1 to 64",
  });
}
