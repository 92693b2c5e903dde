/**
 * `--ulimit NAME=SOFT[:HARD]` to process.rlimits (setrlimit(2)). Not here: setting them (runtime).
 */
import { fail } from "../../error.ts";
import type { Rlimit } from "../../spec/runtime/config.ts";
import { RLIMIT_TYPES } from "../../spec/runtime/process.ts";

/** RLIM_INFINITY. */
const INFINITY = 18446744073709551615n;

/** One limit. `-1` is no limit; without HARD, it is SOFT. */
export function parseUlimit(text: string): Rlimit {
  const [, name = "", soft = "", hard = soft] = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(text) ?? [];
  const type = RLIMIT_TYPES.find((each) => each === `RLIMIT_${name.toUpperCase()}`);
  if (type === undefined) {
    const names = RLIMIT_TYPES.map((each) => each.slice("RLIMIT_".length).toLowerCase());
    throw fail({
      code: "INVALID_FLAG",
      field: "--ulimit",
      message: `${JSON.stringify(text)} is not a limit`,
      hint: `write NAME=SOFT[:HARD], -1 for no limit; NAME is one of ${names.join(", ")}`,
    });
  }
  const limit = { type, soft: amount(soft, text), hard: amount(hard, text) };
  if (limit.soft > limit.hard) {
    throw fail({
      code: "INVALID_FLAG",
      field: "--ulimit",
      message: `${JSON.stringify(text)}: the soft limit is above the hard one`,
      hint: `write ${name}=${hard}:${soft}`,
    });
  }
  return limit;
}

/** All limits; of several for one resource, the last counts. */
export function parseUlimits(texts: readonly string[]): Rlimit[] {
  const limits = new Map<string, Rlimit>();
  for (const text of texts) {
    const limit = parseUlimit(text);
    limits.set(limit.type, limit);
  }
  return [...limits.values()];
}

function amount(text: string, whole: string): number | bigint {
  const value = text === "-1" ? INFINITY : BigInt(text);
  if (value > INFINITY) {
    throw fail({
      code: "INVALID_FLAG",
      field: "--ulimit",
      message: `${JSON.stringify(whole)} is above 2^64 - 1`,
    });
  }
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
