/** Lists of CPUs and memory nodes as cpuset(7) writes them, `0-3,7`, as the masks that system calls take. Pure. */
import { fail } from "../error.ts";

/** More than any kernel is built for (NR_CPUS, MAX_NUMNODES): a number above is a mistake, not a machine. */
const LIMIT = 8192;

/** A mask of whole 8-byte words, bit by number. @throws CtrError INVALID_CONFIG for what is no such list. */
export function maskOfList(list: string, field: string): Uint8Array {
  const numbers = new Set<number>();
  for (const part of list.split(",")) {
    const [, from, to = from] = /^ *(\d+)(?:-(\d+))? *$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (!(first <= last && last < LIMIT)) throw badList(list, field);
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  const mask = new Uint8Array((Math.floor(Math.max(...numbers) / 64) + 1) * 8);
  for (const number of numbers) {
    const at = number >> 3;
    mask[at] = (mask[at] ?? 0) | (1 << (number & 7));
  }
  return mask;
}

function badList(list: string, field: string) {
  return fail({
    code: "INVALID_CONFIG",
    field,
    message: `${JSON.stringify(list)} is not a list of numbers and ranges below ${LIMIT}`,
    hint: 'write it like "0-3,7"',
  });
}
