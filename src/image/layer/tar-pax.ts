/**
 * PAX extended headers (POSIX pax, "pax Extended Header"): `length key=value\n` records, and what the keys mean.
 * Not here: sparse maps, apart from collecting their records in order (tar-sparse.ts reads them).
 */
import { XATTR_NAME_MAX, XATTR_SIZE_MAX } from "../../kernel/xattr.ts";
import { invalidLayer } from "./limits.ts";
import { latin1 } from "./tar-header.ts";

/** What PAX records say of an entry. Names and values are byte strings. */
export interface PaxRecords {
  /** Last value of each key. An empty one takes back what a global header said. */
  readonly values: Map<string, string>;
  /** GNU sparse 0.0: offsets and lengths, alternating, in the order in which they stand. */
  readonly sparse: number[];
}

/** Reads the data of an `x` or `g` entry. */
export function parsePax(data: Uint8Array): PaxRecords {
  const values = new Map<string, string>();
  const sparse: number[] = [];
  let at = 0;
  while (at < data.byteLength) {
    let space = at;
    let length = 0;
    while (space < data.byteLength && data[space] !== 0x20) {
      const digit = (data[space] ?? 0) - 0x30;
      if (digit < 0 || digit > 9 || space - at > 8) throw invalidLayer("a PAX record has no length");
      length = length * 10 + digit;
      space++;
    }
    const end = at + length;
    if (end > data.byteLength || end <= space + 2 || data[end - 1] !== 0x0a) {
      throw invalidLayer("a PAX record's length is wrong");
    }
    const equals = data.indexOf(0x3d, space + 1);
    if (equals <= space + 1 || equals >= end) throw invalidLayer("a PAX record has no key");
    const key = latin1(data, space + 1, equals);
    const value = latin1(data, equals + 1, end - 1);
    if (key.includes("\0")) throw invalidLayer("a PAX key with a NUL in it");
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") sparse.push(paxNumber(value, key));
    else values.set(key, value);
    at = end;
  }
  return { values, sparse };
}

/** A decimal number, as in `size` and `uid`. */
export function paxNumber(value: string, key: string): number {
  const number = /^-?[0-9]{1,20}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw invalidLayer(`PAX ${key} is no number, or too large`);
  return number;
}

/** A time with an optional fraction, possibly negative: whole seconds downwards, and nanoseconds. */
export function paxTime(value: string): { seconds: number; nanoseconds: number } {
  const [, sign, whole, fraction = ""] = /^(-?)([0-9]{1,20})(?:\.([0-9]*))?$/.exec(value) ?? [];
  const seconds = Number(whole);
  if (whole === undefined || !Number.isSafeInteger(seconds)) throw invalidLayer("PAX mtime is no time");
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (sign !== "-") return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** A path in a PAX record. */
export function paxPath(value: string, key: string): string {
  if (value.includes("\0")) throw invalidLayer(`PAX ${key} with a NUL in it`);
  return value;
}

const SCHILY = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";

/** Extended attributes of an entry: star's and GNU's form, raw, and libarchive's, base64. */
export function paxXattrs(values: ReadonlyMap<string, string>): Map<string, Uint8Array> | undefined {
  let found: Map<string, Uint8Array> | undefined;
  for (const [key, value] of values) {
    let name: string;
    let bytes: Uint8Array;
    if (key.startsWith(SCHILY)) {
      name = key.slice(SCHILY.length);
      bytes = Buffer.from(value, "latin1");
    } else if (
      key.startsWith(LIBARCHIVE) &&
      !values.has(SCHILY + percentDecoded(key.slice(LIBARCHIVE.length)))
    ) {
      name = percentDecoded(key.slice(LIBARCHIVE.length));
      bytes = Buffer.from(value, "base64");
    } else continue;
    if (name === "" || name.includes("\0") || name.length > XATTR_NAME_MAX) {
      throw invalidLayer("an extended attribute's name is empty or too long");
    }
    if (bytes.byteLength > XATTR_SIZE_MAX) throw invalidLayer("an extended attribute is larger than 64 KiB");
    found ??= new Map();
    found.set(name, bytes);
  }
  return found;
}

/** libarchive writes other bytes than the plain ones of a name as %XX. */
function percentDecoded(name: string): string {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
