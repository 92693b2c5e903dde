/**
 * What is written to files of cgroup v2 as the kernel reads it, for `linux.resources.unified`: numbers for systemd's
 * properties. undefined: no such value, or none that can be told here. Pure.
 * Source: lib/cmdline.c (memparse), lib/kstrtox.c, lib/bitmap-str.c, kernel/sched/core.c, block/blk-iocost.c of Linux.
 */

/** More CPUs or memory nodes than any kernel has. */
const MOST_CPUS = 1 << 16;
/** Shares of nice -20 to 19: sched_prio_to_weight of kernel/sched/core.c. */
const NICE_SHARES = [
  88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121,
  2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23,
  18, 15,
];
const UNITS = "kmgtpe";

/** No limit. */
export const MAX = "max";

/** An integer in decimal, octal (`010`) or hexadecimal (`0x8`). */
export function integerText(text: string): bigint | undefined {
  const [, sign, digits] = /^([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === "-" ? -value : value;
}

/** Bytes, with a unit (`64M`), or `max`. */
export function bytesText(text: string): bigint | typeof MAX | undefined {
  const trimmed = text.trim();
  if (trimmed === MAX) return MAX;
  const unit = UNITS.indexOf(trimmed.at(-1)?.toLowerCase() ?? " ");
  // The last digit of a hexadecimal number may be one of them.
  const value = integerText(trimmed);
  const number = value ?? (unit < 0 ? undefined : integerText(trimmed.slice(0, -1)));
  if (number === undefined || /^[+-]/.test(trimmed)) return undefined;
  const bytes = value === undefined ? number << BigInt(10 * (unit + 1)) : number;
  return bytes >= 1n << 64n ? undefined : bytes;
}

/** How many, or `max`. */
export function countText(text: string): bigint | typeof MAX | undefined {
  if (text.trim() === MAX) return MAX;
  const value = integerText(text);
  return value === undefined || value < 0n || value >= 1n << 63n ? undefined : value;
}

/** A weight from 1 to 10000. */
export function weightText(text: string): bigint | undefined {
  const value = integerText(text);
  return value === undefined || value < 1n || value > 10_000n ? undefined : value;
}

/** cpu.weight.nice as a weight. */
export function niceText(text: string): bigint | undefined {
  const nice = integerText(text);
  const shares = nice === undefined ? undefined : NICE_SHARES[Number(nice) + 20];
  return shares === undefined ? undefined : BigInt(Math.round((shares * 100) / 1024));
}

/** Of io.weight the one for all devices: `none` where there are lines for single ones alone. */
export function ioWeightText(text: string): bigint | "none" | undefined {
  let weight: bigint | "none" = "none";
  for (const line of text.split("\n")) {
    if (line.includes(":") || line.trim() === "") continue;
    const digits = /^\s*(?:default\s+)?(\d{1,9})\s*$/.exec(line)?.[1];
    if (digits === undefined) return undefined;
    weight = BigInt(digits);
  }
  return weight === "none" || (weight >= 1n && weight <= 10_000n) ? weight : undefined;
}

/** cpu.max: microseconds. */
export function bandwidthText(text: string): { quota: number; period: number | undefined } | undefined {
  const [, quota, period] = /^\s*(max|\d{1,15})(?:\s+(\d{1,15}))?\s*$/.exec(text) ?? [];
  if (quota === undefined) return undefined;
  return {
    quota: quota === MAX ? -1 : Number(quota),
    period: period === undefined ? undefined : Number(period),
  };
}

/** A list such as `0-2,5` or `0-30:2/4` as a mask of bits; none of them for the empty text. */
export function maskText(list: string): Uint8Array | undefined {
  const mask: number[] = [];
  for (const range of list.split(/[\s,]+/).filter((each) => each !== "")) {
    const parts = /^(\d+)(?:-(\d+)(?::(\d+)\/(\d+))?)?$/.exec(range);
    if (parts === null) return undefined;
    const first = Number(parts[1]);
    const last = Number(parts[2] ?? first);
    const used = Number(parts[3] ?? 1);
    const group = Number(parts[4] ?? 1);
    if (last >= MOST_CPUS || first > last || group === 0 || used > group) return undefined;
    for (let at = first; at <= last; at++) {
      if ((at - first) % group >= used) continue;
      const byte = at >> 3;
      while (mask.length <= byte) mask.push(0);
      mask[byte] = (mask[byte] ?? 0) | (1 << (at & 7));
    }
  }
  return Uint8Array.from(mask);
}
