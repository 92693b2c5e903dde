/**
 * Memory in the kernel's shapes: C strings and little-endian structs. No system call is made here.
 */
import { fail } from "../error.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes of a string and a NUL. A string that has a NUL inside is refused: the kernel would see a shorter one. */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) {
    throw fail({ code: "INVALID_ARGUMENT", message: `a NUL character in ${JSON.stringify(text)}` });
  }
  return encoder.encode(`${text}\0`);
}

/** Text up to the first NUL, or `length` bytes. */
export function textOf(bytes: Uint8Array, length: number = bytes.byteLength): string {
  const end = bytes.indexOf(0);
  return decoder.decode(bytes.subarray(0, end >= 0 && end < length ? end : length));
}

/** A struct of 8-byte words. */
export function words(...values: readonly (number | bigint)[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setBigUint64(index * 8, BigInt.asUintN(64, BigInt(value)), true);
  });
  return bytes;
}

/** A struct of 4-byte words. */
export function words32(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setUint32(index * 4, value >>> 0, true);
  });
  return bytes;
}

/** A view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
