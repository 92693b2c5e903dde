/**
 * Numbers, sizes and spans of time as runc reads them from flags, exact up to 64 bits. Errors have runc's words.
 * Not here: what the engine's flags take (engine/config/size.ts).
 */
import { type CtrError, fail } from "../../error.ts";

const UNITS: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Bytes of `512`, `512k`, `1.5g`, `64MiB`: powers of 1024; `-1` for no limit. A part of a byte is dropped. */
export function sizeOf(text: string, flag: string): number | bigint {
  if (text === "-1") return -1;
  const match = /^(\d+)(\.\d+)? ?([kmgtp]?)(i?b)?$/i.exec(text);
  if (match === null) {
    const hint = "a number with b, k, m, g, t or p behind it: 512k, 1.5g; or -1 for no limit";
    throw invalid(flag, `invalid size: '${text}'`, hint);
  }
  const [, whole = "", part = "", unit = ""] = match;
  const shift = UNITS[unit.toLowerCase()] ?? 0;
  const fraction = BigInt(Math.floor(Number(`0${part}`) * 1024 ** shift));
  return fitting(BigInt(whole) * 1024n ** BigInt(shift) + fraction, text, flag, false);
}

/** A whole number: of 64 bits without a sign, or with one. */
export function integerOf(text: string, flag: string, sign: "unsigned" | "signed"): number | bigint {
  const isNumber = sign === "signed" ? /^[+-]?\d{1,20}$/.test(text) : /^\d{1,20}$/.test(text);
  if (!isNumber) {
    const hint = sign === "signed" ? "a whole number" : "a whole number from 0 up";
    throw invalid(flag, `${JSON.stringify(text)}: invalid syntax`, hint);
  }
  return fitting(BigInt(text.replace("+", "")), text, flag, sign === "unsigned");
}

function fitting(value: bigint, text: string, flag: string, unsigned: boolean): number | bigint {
  if (value !== (unsigned ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value))) {
    throw invalid(flag, `${JSON.stringify(text)}: value out of range`);
  }
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function invalid(flag: string, why: string, hint?: string): CtrError {
  return fail({ code: "USAGE", field: `--${flag}`, message: `invalid value for ${flag}: ${why}`, hint });
}

const UNITS_OF_TIME: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of `5s`, `1m30s`, `1.5h`, `200ms`, as Go writes spans of time (time.ParseDuration). */
export function durationOf(text: string, flag: string): number {
  const [, sign = "", rest = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === "0") return 0;
  const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
  if (rest === "" || rest.replace(part, "") !== "") {
    throw fail({
      code: "USAGE",
      field: `--${flag}`,
      message: `invalid value ${JSON.stringify(text)} for flag -${flag}: parse error`,
      hint: "a number with ms, s, m or h behind it: 500ms, 5s, 1m30s",
    });
  }
  let total = 0;
  for (const [, number, unit] of rest.matchAll(part))
    total += Number(number) * (UNITS_OF_TIME[unit ?? ""] ?? 0);
  return sign === "-" ? -total : total;
}
