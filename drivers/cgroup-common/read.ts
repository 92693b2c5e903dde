/**
 * Reading the files of a cgroup: numbers, lists of keys and values, pressure. Counters may pass 2^53: those are bigints.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";

export type Counter = number | bigint;

/** What "no limit" is where a counter is reported: the largest uint64, as in runc. */
export const UNLIMITED = 18446744073709551615n;

/** A decimal number, exact; `max` is {@link UNLIMITED}; anything else is 0. */
export function counter(text: string | undefined): Counter {
  const word = text?.trim() ?? "";
  if (word === "max") return UNLIMITED;
  const value = Number(word);
  if (Number.isSafeInteger(value)) return value;
  return /^\d+$/.test(word) ? BigInt(word) : 0;
}

/** The one number in a file; undefined where there is no such file. */
export function readCounter(directory: string, file: string): Counter | undefined {
  const text = readTextIfAny(`${directory}/${file}`);
  return text === undefined ? undefined : counter(text);
}

/** A file of `key value` lines; empty where there is no such file. */
export function readPairs(directory: string, file: string): Record<string, Counter> {
  return parsePairs(readTextIfAny(`${directory}/${file}`) ?? "");
}

/** Lines of `key value`. */
export function parsePairs(text: string): Record<string, Counter> {
  const pairs: Record<string, Counter> = {};
  for (const line of text.split("\n")) {
    const blank = line.indexOf(" ");
    if (blank > 0) pairs[line.slice(0, blank)] = counter(line.slice(blank + 1));
  }
  return pairs;
}

/** Sum of two counters. */
export function add(a: Counter, b: Counter): Counter {
  const sum = BigInt(a) + BigInt(b);
  return sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}

/** Without what Go's `omitempty` leaves out of JSON: zeros, empty lists, empty text, undefined. */
export function omitEmpty(fields: CgroupStats): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined || value === 0 || value === 0n || value === "") continue;
    if (Array.isArray(value) && value.length === 0) continue;
    kept[key] = value;
  }
  return kept;
}

/**
 * A pressure file (Documentation/accounting/psi.rst) in runc's shape; undefined where the kernel gives none: not built
 * in, or switched off (EOPNOTSUPP).
 */
export function readPressure(directory: string, file: string): CgroupStats | undefined {
  let text: string | undefined;
  try {
    text = readTextIfAny(`${directory}/${file}`);
  } catch {
    return undefined;
  }
  if (text === undefined) return undefined;
  const lines: Record<string, CgroupStats> = {};
  for (const line of text.split("\n")) {
    const [kind, ...pairs] = line.split(" ");
    if (kind !== "some" && kind !== "full") continue;
    const values: Record<string, Counter> = {};
    for (const pair of pairs) {
      const [key, value] = pair.split("=");
      if (key === "total") values[key] = counter(value);
      else if (key !== undefined) values[key] = Number(value);
    }
    lines[kind] = values;
  }
  return lines;
}
