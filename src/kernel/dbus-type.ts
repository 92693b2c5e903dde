/**
 * Signatures of D-Bus: `a(sv)` to a tree of types and back. Not here: values (dbus-marshal.ts).
 * Source: D-Bus specification, "Type System", https://dbus.freedesktop.org/doc/dbus-specification.html
 */
import { fail } from "../error.ts";

const BASIC = "ybnqiuxtdsogh";

/** A type. `a`, `(`, `{` and `v` are array, struct, entry of a dictionary and variant; every other code is basic. */
export type DbusType =
  | { readonly code: "basic"; readonly letter: string }
  | { readonly code: "variant" }
  | { readonly code: "array"; readonly of: DbusType }
  | { readonly code: "struct" | "entry"; readonly of: readonly DbusType[] };

/** Most bytes of a signature, and how deep arrays, and structs, may nest ("Valid Signatures"). */
const [MOST_BYTES, MOST_DEPTH] = [255, 32];

/** Complete types of a signature, in order. Throws DBUS for what is none. */
export function parseSignature(signature: string): DbusType[] {
  if (signature.length > MOST_BYTES) throw bad(signature, `longer than ${MOST_BYTES} bytes`);
  const reader = { signature, at: 0 };
  const types: DbusType[] = [];
  while (reader.at < signature.length) types.push(readType(reader, 0, 0));
  return types;
}

/** The one complete type of a variant's signature. */
export function parseSingle(signature: string): DbusType {
  const [type, ...others] = parseSignature(signature);
  if (type === undefined || others.length > 0) throw bad(signature, "not one complete type");
  return type;
}

interface Reader {
  readonly signature: string;
  at: number;
}

function readType(reader: Reader, arrays: number, structs: number): DbusType {
  const { signature } = reader;
  if (arrays > MOST_DEPTH || structs > MOST_DEPTH) throw bad(signature, "nested too deeply");
  const letter = signature[reader.at++] ?? "";
  if (letter === "v") return { code: "variant" };
  if (letter === "a") {
    if (signature[reader.at] !== "{") return { code: "array", of: readType(reader, arrays + 1, structs) };
    reader.at++;
    const key = readType(reader, arrays + 1, structs + 1);
    if (key.code !== "basic") throw bad(signature, "the key of a dictionary is not of a basic type");
    const value = readType(reader, arrays + 1, structs + 1);
    if (signature[reader.at++] !== "}") throw bad(signature, "an entry of a dictionary is a key and a value");
    return { code: "array", of: { code: "entry", of: [key, value] } };
  }
  if (letter === "(") {
    const of: DbusType[] = [];
    while (reader.at < signature.length && signature[reader.at] !== ")") {
      of.push(readType(reader, arrays, structs + 1));
    }
    if (signature[reader.at++] !== ")") throw bad(signature, "a struct does not end");
    if (of.length === 0) throw bad(signature, "a struct of nothing");
    return { code: "struct", of };
  }
  if (letter === "" || !BASIC.includes(letter)) {
    throw bad(signature, letter === "" ? "it ends too early" : `there is no type ${JSON.stringify(letter)}`);
  }
  return { code: "basic", letter };
}

/** The signature of a type. */
export function signatureOf(type: DbusType): string {
  switch (type.code) {
    case "basic":
      return type.letter;
    case "variant":
      return "v";
    case "array":
      return `a${signatureOf(type.of)}`;
    case "struct":
      return `(${type.of.map(signatureOf).join("")})`;
    case "entry":
      return `{${type.of.map(signatureOf).join("")}}`;
  }
}

/** To which multiple of bytes a value of the type is padded. */
export function alignmentOf(type: DbusType): number {
  if (type.code === "variant") return 1;
  if (type.code === "array") return 4;
  return type.code === "basic" ? (ALIGNMENT[type.letter] ?? 4) : 8;
}

const ALIGNMENT: Readonly<Record<string, number>> = { y: 1, g: 1, n: 2, q: 2, x: 8, t: 8, d: 8 };

function bad(signature: string, why: string): Error {
  return fail({ code: "DBUS", message: `not a D-Bus signature: ${JSON.stringify(signature)}: ${why}` });
}
