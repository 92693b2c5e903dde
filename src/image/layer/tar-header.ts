/**
 * One 512-byte tar header block: ustar, GNU, star and the old V7 form (POSIX pax, "ustar Interchange Format"; tar(5)
 * of libarchive). Not here: PAX records, long names and sparse maps, which are data of entries of their own.
 */
import { invalidLayer } from "./limits.ts";

export const BLOCK = 512;

/** A header's fields as they stand. Names are byte strings (kernel/directory.ts). */
export interface TarHeader {
  /** The type flag, one character; NUL is the old form of "0". */
  readonly flag: string;
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly seconds: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Whether it is of GNU's form, whose last part holds no name prefix. */
  readonly gnu: boolean;
}

/** Whether a block has only zeros: two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < BLOCK; at++) if (block[at] !== 0) return false;
  return true;
}

/** Text up to the first NUL. */
export function textField(block: Uint8Array, at: number, length: number): string {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return latin1(block, at, end);
}

/** Bytes as a byte string. */
export function latin1(bytes: Uint8Array, from: number, to: number): string {
  if (bytes instanceof Buffer) return bytes.toString("latin1", from, to);
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1");
}

/**
 * A numeric field: octal digits among spaces and NULs, or with the top bit set a big-endian two's complement number
 * (GNU's base-256). What cannot be held exactly by a JavaScript number is refused.
 */
export function numberField(block: Uint8Array, at: number, length: number, what: string): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) return base256(block, at, length, what);
  let value = 0;
  let end = at + length;
  while (end > at && (block[end - 1] === 0x20 || block[end - 1] === 0)) end--;
  let start = at;
  while (start < end && (block[start] === 0x20 || block[start] === 0)) start++;
  for (let i = start; i < end; i++) {
    const digit = (block[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) {
      // Some writers end a field at the first NUL and leave rubbish behind it.
      if (block[i] === 0) break;
      throw invalidLayer(`the ${what} in a tar header is no octal number`);
    }
    value = value * 8 + digit;
  }
  return safe(value, what);
}

function base256(block: Uint8Array, at: number, length: number, what: string): number {
  const negative = ((block[at] ?? 0) & 0x40) !== 0;
  let value = 0;
  for (let i = 0; i < length; i++) {
    let byte = block[at + i] ?? 0;
    if (i === 0) byte &= 0x7f;
    if (negative) byte = i === 0 ? byte ^ 0x7f : byte ^ 0xff;
    value = value * 256 + byte;
  }
  return safe(negative ? -value - 1 : value, what);
}

function safe(value: number, what: string): number {
  if (!Number.isSafeInteger(value)) throw invalidLayer(`the ${what} in a tar header is too large`);
  return value;
}

/** Sum of a header's bytes, its checksum field counted as spaces; some old tars added signed bytes. */
function sumsUp(block: Uint8Array): boolean {
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let at = 0; at < BLOCK; at++) {
    if (at === 148) at = 156;
    const byte = block[at] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  const stored = numberField(block, 148, 8, "checksum");
  return stored === unsigned || stored === unsigned - 256 * high;
}

/** Reads one header. @throws CtrError INVALID_LAYER when the checksum is wrong or a number is none. */
export function parseHeader(block: Uint8Array): TarHeader {
  if (!sumsUp(block)) throw invalidLayer("not a tar archive, or damaged: a header's checksum is wrong");
  const magic = latin1(block, 257, 265);
  const posix = magic === "ustar\x0000";
  const gnu = magic === "ustar  \0";
  const star = posix && latin1(block, 508, 512) === "tar\0";
  // "ustar\0" with another version is read as ustar too: some writers leave the version empty.
  const ustar = posix || magic.startsWith("ustar\0");
  let name = textField(block, 0, 100);
  const prefix = ustar ? textField(block, 345, star ? 131 : 155) : "";
  if (prefix !== "") name = `${prefix}/${name}`;
  const devices = ustar || gnu;
  return {
    flag: String.fromCharCode(block[156] ?? 0),
    name,
    link: textField(block, 157, 100),
    mode: numberField(block, 100, 8, "mode") & 0o7777,
    uid: numberField(block, 108, 8, "uid"),
    gid: numberField(block, 116, 8, "gid"),
    size: numberField(block, 124, 12, "size"),
    seconds: numberField(block, 136, 12, "mtime"),
    devMajor: devices ? numberField(block, 329, 8, "device number") : 0,
    devMinor: devices ? numberField(block, 337, 8, "device number") : 0,
    gnu,
  };
}
