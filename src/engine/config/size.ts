/**
 * Amounts as people type them: memory sizes (`512k`, `1.5g`), CPUs (`0.5`), counts.
 * Not here: which limit an amount is for (resources.ts).
 */
import { type CtrError, fail } from "../../error.ts";

const UNITS: Readonly<Record<string, number>> = { "": 0, b: 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * Bytes of `512`, `512k`, `1.5g`, `64MiB`: powers of 1024, as Docker reads them. A part of a byte is dropped.
 * @param field the flag or key it was given for, for the message.
 */
export function parseSize(text: string, field: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(i?b)?$/i.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? "").toLowerCase()] ?? 0;
  const bytes = match === null ? Number.NaN : Math.floor(Number(match[1]) * 1024 ** unit);
  if (!Number.isSafeInteger(bytes)) {
    throw badAmount(field, text, "a size", "a number with b, k, m, g or t behind it: 512k, 1.5g");
  }
  return bytes;
}

/** The CFS period that a number of CPUs is spread over, in microseconds (100 ms, as Docker and the kernel have it). */
export const CPU_PERIOD = 100_000;

/**
 * Microseconds of CPU time in each {@link CPU_PERIOD} for `0.5` or `2`.
 * @param cpus how many the host has.
 */
export function parseCpus(text: string, cpus: number, field = "--cpus"): number {
  const value = /^\d*\.?\d+$|^\d+\.$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0.01 && value <= cpus)) {
    throw badAmount(field, text, "a number of CPUs", `this host has ${cpus}: from 0.01 to ${cpus}.00`);
  }
  return Math.round(value * CPU_PERIOD);
}

/** A whole number from `least` to 2^53 - 1; -1 too where that means "no limit". */
export function parseCount(text: string, field: string, least = -1): number {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw badAmount(field, text, "a number", `a whole number from ${least} up`);
  }
  return value;
}

function badAmount(field: string, text: string, what: string, hint: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message: `${JSON.stringify(text)} is not ${what}`, hint });
}
