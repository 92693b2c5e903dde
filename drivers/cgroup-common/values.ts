/**
 * Conversions from the values of the spec, which are those of cgroup v1, to cgroup v2. Pure.
 */
import { badValue } from "./setting.ts";

type Integer = number | bigint;

/**
 * CPU shares (2 to 262144, default 1024) to cpu.weight (1 to 10000, default 100): the curve through least, default and
 * most that runc 1.3.2 and crun 1.23 have (opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value).
 */
export function sharesToWeight(shares: Integer): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const log = Math.log2(Number(shares));
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/** blkio weight (10 to 1000) to io.weight (1 to 10000), linearly (Documentation/admin-guide/cgroup-v2.rst, io.weight). */
export function blkioToIoWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

/**
 * What to write to memory.swap.max: the spec's `swap` is memory and swap together, that file is swap alone.
 * undefined: leave it (opencontainers/cgroups, ConvertMemorySwapToCgroupV2Value).
 */
export function swapAlone(limit: Integer | undefined, swap: Integer | undefined): string | undefined {
  const memory = limit ?? 0;
  const both = swap ?? 0;
  checkSwap(memory, both);
  if (memory === -1 && both === 0) return "max";
  if (both === 0) return undefined;
  if (both === -1) return "max";
  if (memory === -1) return String(both);
  if (memory === 0) throw badValue("memory.swap", "cannot be set without memory.limit, which it includes");
  return String(BigInt(both) - BigInt(memory));
}

/** Memory and swap together cannot be less than memory alone; -1 is no limit, and other negative numbers are none. */
export function checkSwap(limit: Integer | undefined, swap: Integer | undefined): void {
  for (const [field, value] of [
    ["memory.limit", limit],
    ["memory.swap", swap],
  ] as const) {
    if (value !== undefined && value < -1)
      throw badValue(field, `is ${value}, which is no amount`, "-1 means no limit");
  }
  if (limit === undefined || swap === undefined || limit <= 0 || swap <= 0 || swap >= limit) return;
  const why = `is ${swap}, less than memory.limit (${limit}), which it includes`;
  throw badValue("memory.swap", why, "set both together");
}

/** `-1` and `max` for no limit; undefined where it is not set. */
export function maxOr(value: Integer | undefined): string | undefined {
  if (value === undefined || value === 0) return undefined;
  return value === -1 ? "max" : String(value);
}

/** Whether it is one: engines that write -1 for none are read as having written the largest number, as in runc. */
export function isSwappiness(value: Integer | undefined): value is Integer {
  return value !== undefined && BigInt(value) !== 0xffff_ffff_ffff_ffffn;
}

/** Whether a value asks for anything: 0 means "not set", as in runc. */
export function isSet(value: Integer | undefined): value is Integer {
  return value !== undefined && value !== 0;
}
