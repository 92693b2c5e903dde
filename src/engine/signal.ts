/**
 * Signals by name and number, as people write them (signal(7)). Not here: sending them (runtime).
 */
import { constants } from "node:os";
import { fail } from "../error.ts";

/** Linux: SIGRTMIN is 34 for programs of glibc, SIGRTMAX 64. */
const RTMIN = 34;
const RTMAX = 64;

/** The number of `TERM`, `SIGTERM`, `15`, `RTMIN+3`. */
export function parseSignal(text: string, field: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const number = /^\d+$/.test(text) ? Number(text) : namedSignal(name);
  if (number !== undefined && number >= 1 && number <= RTMAX) return number;
  throw fail({
    code: "INVALID_FLAG",
    field,
    message: `${JSON.stringify(text)} is not a signal`,
    hint: "write a name such as TERM or SIGTERM, or a number from 1 to 64",
  });
}

function namedSignal(name: string): number | undefined {
  const [, edge, sign, distance] = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name) ?? [];
  if (edge !== undefined) {
    const number = (edge === "MIN" ? RTMIN : RTMAX) + Number(`${sign ?? ""}${distance ?? 0}`);
    return number >= RTMIN ? number : undefined;
  }
  return (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
}
