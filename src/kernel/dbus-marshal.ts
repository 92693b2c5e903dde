/**
 * Values of D-Bus to bytes and back, little endian. Whoever is on the other side may be broken or hostile: every
 * length is checked before it is used, and what is not exactly as the specification has it is an error.
 * Source: D-Bus specification, "Marshaling (Wire Format)". Not here: messages (dbus-message.ts).
 */
import { fail } from "../error.ts";
import { alignmentOf, type DbusType, parseSignature, parseSingle } from "./dbus-type.ts";

/** A value with its type. */
export interface Variant {
  readonly signature: string;
  readonly value: DbusValue;
}

/**
 * `y n q i u h d`: number; `x t`: bigint; `b`: boolean; `s o g`: string; `ay`: bytes; other arrays, structs and entries
 * of dictionaries (key, value): lists; `v`: {@link Variant}.
 */
export type DbusValue = number | bigint | boolean | string | Uint8Array | Variant | readonly DbusValue[];

/** Most bytes of an array ("Marshaling containers"). */
const MOST_ARRAY = 64 << 20;
/** How deep values may nest, variants in variants counted too. */
const MOST_DEPTH = 64;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function wrong(message: string): Error {
  return fail({ code: "DBUS", message });
}

/** Least and most value of the integers that are numbers. */
const RANGES: Readonly<Record<string, readonly [least: number, most: number]>> = {
  y: [0, 0xff],
  n: [-0x8000, 0x7fff],
  q: [0, 0xffff],
  i: [-0x80000000, 0x7fffffff],
  u: [0, 0xffffffff],
  h: [0, 0xffffffff],
};

/** Whether a text is the path of an object. */
export function isObjectPath(path: string): boolean {
  return path === "/" || /^(\/[A-Za-z0-9_]+)+$/.test(path);
}

/** Bytes that grow. */
class Writer {
  bytes = new Uint8Array(256);
  length = 0;
  /** Room for `size` more bytes; a view of all of them. */
  room(size: number): DataView {
    if (this.length + size > this.bytes.byteLength) {
      const larger = new Uint8Array(2 * (this.length + size));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return new DataView(this.bytes.buffer);
  }
  pad(to: number): void {
    const size = (to - (this.length % to)) % to;
    this.room(size);
    this.length += size;
  }
  add(bytes: Uint8Array): void {
    this.room(bytes.byteLength);
    this.bytes.set(bytes, this.length);
    this.length += bytes.byteLength;
  }
  unsigned(value: number): void {
    this.room(4).setUint32(this.length, value, true);
    this.length += 4;
  }
}

/** The bytes of values, one for each complete type of the signature. Throws DBUS where one is not of its type. */
export function marshal(signature: string, values: readonly DbusValue[]): Uint8Array {
  const types = parseSignature(signature);
  if (types.length !== values.length) {
    throw wrong(`${values.length} values for the D-Bus signature ${JSON.stringify(signature)}`);
  }
  const writer = new Writer();
  types.forEach((type, index) => {
    write(writer, type, values[index], 0);
  });
  return writer.bytes.slice(0, writer.length);
}

function write(writer: Writer, type: DbusType, value: DbusValue | undefined, depth: number): void {
  if (depth > MOST_DEPTH) throw wrong("a D-Bus value is nested too deeply");
  writer.pad(alignmentOf(type));
  if (type.code === "basic") writeBasic(writer, type.letter, value);
  else if (type.code === "variant") {
    if (typeof value !== "object" || !("signature" in value)) throw notOf("v", value);
    const inner = parseSingle(value.signature);
    writeBasic(writer, "g", value.signature);
    write(writer, inner, value.value, depth + 1);
  } else if (type.code === "array") writeArray(writer, type.of, value, depth);
  else {
    if (!Array.isArray(value) || value.length !== type.of.length) throw notOf("(", value);
    const fields: readonly DbusValue[] = value;
    type.of.forEach((field, index) => {
      write(writer, field, fields[index], depth + 1);
    });
  }
}

function writeArray(writer: Writer, of: DbusType, value: DbusValue | undefined, depth: number): void {
  const at = writer.length;
  writer.unsigned(0);
  // The padding before the first element does not count.
  writer.pad(alignmentOf(of));
  const start = writer.length;
  if (value instanceof Uint8Array) {
    if (of.code !== "basic" || of.letter !== "y") throw notOf("a", value);
    writer.add(value);
  } else if (Array.isArray(value)) {
    const elements: readonly DbusValue[] = value;
    for (const element of elements) write(writer, of, element, depth + 1);
  } else throw notOf("a", value);
  const size = writer.length - start;
  if (size > MOST_ARRAY) throw wrong("a D-Bus array of more than 64 MiB");
  writer.room(0).setUint32(at, size, true);
}

function writeBasic(writer: Writer, letter: string, value: DbusValue | undefined): void {
  const range = RANGES[letter];
  const at = writer.length;
  if (range !== undefined) {
    if (!Number.isInteger(value) || Number(value) < range[0] || Number(value) > range[1])
      throw notOf(letter, value);
    const number = Number(value);
    const view = writer.room(4);
    if (letter === "y") view.setUint8(at, number);
    else if (letter === "n" || letter === "q") view.setUint16(at, number & 0xffff, true);
    else view.setUint32(at, number >>> 0, true);
    writer.length += letter === "y" ? 1 : letter === "n" || letter === "q" ? 2 : 4;
  } else if (letter === "x" || letter === "t") {
    const fits = letter === "x" ? BigInt.asIntN : BigInt.asUintN;
    if (typeof value !== "bigint" || fits(64, value) !== value) throw notOf(letter, value);
    writer.room(8).setBigUint64(at, BigInt.asUintN(64, value), true);
    writer.length += 8;
  } else if (letter === "d") {
    if (typeof value !== "number") throw notOf(letter, value);
    writer.room(8).setFloat64(at, value, true);
    writer.length += 8;
  } else if (letter === "b") {
    if (typeof value !== "boolean") throw notOf(letter, value);
    writer.unsigned(value ? 1 : 0);
  } else writeText(writer, letter, value);
}

function writeText(writer: Writer, letter: string, value: DbusValue | undefined): void {
  if (typeof value !== "string" || value.includes("\0") || !value.isWellFormed()) throw notOf(letter, value);
  if (letter === "o" && !isObjectPath(value)) throw notOf(letter, value);
  if (letter === "g") parseSignature(value);
  const bytes = encoder.encode(value);
  if (letter === "g") writer.add(Uint8Array.of(bytes.byteLength));
  else writer.unsigned(bytes.byteLength);
  writer.add(bytes);
  writer.add(Uint8Array.of(0));
}

function notOf(letter: string, value: unknown): Error {
  const shown = typeof value === "bigint" ? `${value}` : (JSON.stringify(value) ?? "nothing");
  return wrong(`${shown.slice(0, 80)} is no D-Bus value of type ${letter}`);
}

interface Reader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
}

/** The values in bytes that hold exactly those of the signature. Throws DBUS for anything else. */
export function unmarshal(signature: string, bytes: Uint8Array): DbusValue[] {
  const reader: Reader = {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    at: 0,
  };
  const values = parseSignature(signature).map((type) => read(reader, type, 0));
  if (reader.at !== bytes.byteLength) {
    throw wrong(`${bytes.byteLength - reader.at} bytes too many behind D-Bus values of ${signature}`);
  }
  return values;
}

/** Takes `size` bytes: where they begin. */
function take(reader: Reader, size: number): number {
  const { at } = reader;
  if (size > reader.bytes.byteLength - at) throw wrong("a D-Bus value goes beyond its message");
  reader.at += size;
  return at;
}

function align(reader: Reader, to: number): void {
  const size = (to - (reader.at % to)) % to;
  const at = take(reader, size);
  for (let byte = at; byte < at + size; byte++) {
    if (reader.bytes[byte] !== 0) throw wrong("the padding of a D-Bus value is not zero");
  }
}

function read(reader: Reader, type: DbusType, depth: number): DbusValue {
  if (depth > MOST_DEPTH) throw wrong("a D-Bus value is nested too deeply");
  align(reader, alignmentOf(type));
  switch (type.code) {
    case "basic":
      return readBasic(reader, type.letter);
    case "variant": {
      const signature = readText(reader, "g");
      return { signature, value: read(reader, parseSingle(signature), depth + 1) };
    }
    case "array":
      return readArray(reader, type.of, depth);
    default:
      return type.of.map((field) => read(reader, field, depth + 1));
  }
}

function readArray(reader: Reader, of: DbusType, depth: number): DbusValue {
  const size = reader.view.getUint32(take(reader, 4), true);
  if (size > MOST_ARRAY) throw wrong("a D-Bus array of more than 64 MiB");
  align(reader, alignmentOf(of));
  const end = reader.at + size;
  if (end > reader.bytes.byteLength) throw wrong("a D-Bus array goes beyond its message");
  if (of.code === "basic" && of.letter === "y") return reader.bytes.slice(take(reader, size), end);
  const elements: DbusValue[] = [];
  while (reader.at < end) elements.push(read(reader, of, depth + 1));
  if (reader.at !== end) throw wrong("a D-Bus array does not end with an element");
  return elements;
}

function readBasic(reader: Reader, letter: string): DbusValue {
  const { view } = reader;
  switch (letter) {
    case "y":
      return view.getUint8(take(reader, 1));
    case "n":
      return view.getInt16(take(reader, 2), true);
    case "q":
      return view.getUint16(take(reader, 2), true);
    case "i":
      return view.getInt32(take(reader, 4), true);
    case "u":
    case "h":
      return view.getUint32(take(reader, 4), true);
    case "x":
      return view.getBigInt64(take(reader, 8), true);
    case "t":
      return view.getBigUint64(take(reader, 8), true);
    case "d":
      return view.getFloat64(take(reader, 8), true);
    case "b": {
      const value = view.getUint32(take(reader, 4), true);
      if (value > 1) throw wrong(`a D-Bus boolean of ${value}`);
      return value === 1;
    }
    default:
      return readText(reader, letter);
  }
}

function readText(reader: Reader, letter: string): string {
  const size =
    letter === "g" ? reader.view.getUint8(take(reader, 1)) : reader.view.getUint32(take(reader, 4), true);
  const at = take(reader, size + 1);
  const bytes = reader.bytes.subarray(at, at + size);
  if (reader.bytes[at + size] !== 0 || bytes.includes(0))
    throw wrong("a D-Bus string has its NUL elsewhere than at its end");
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw wrong("a D-Bus string is not in UTF-8");
  }
  if (letter === "o" && !isObjectPath(text))
    throw wrong(`${JSON.stringify(text)} is no path of a D-Bus object`);
  if (letter === "g") parseSignature(text);
  return text;
}
