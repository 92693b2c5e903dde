/**
 * Values in GVariant's text format (https://docs.gtk.org/glib/gvariant-text-format.html) to D-Bus values with their
 * types: `'text'`, `uint64 5`, `true`, `[1, 2]`, `@as []`, `("a", <5>)`, `{"key": 1.5}`, `b'bytes'`. As runc reads them: a
 * whole number is an int32, any other a double, unless a type stands before it. Pure.
 */
import type { DbusValue, Variant } from "../../src/kernel/dbus-marshal.ts";
import { marshal } from "../../src/kernel/dbus-marshal.ts";
import { type DbusType, parseSingle, signatureOf } from "../../src/kernel/dbus-type.ts";

/** Words that stand before a value, and the type that they mean. */
const KEYWORDS: Readonly<Record<string, string>> = {
  boolean: "b",
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  handle: "h",
  int64: "x",
  uint64: "t",
  double: "d",
  string: "s",
  objectpath: "o",
  signature: "g",
};
const ESCAPES: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
  ...{ "\\": "\\", "'": "'", '"': '"' },
};
const MOST_DEPTH = 32;

/** A value as it is written, before it has a type. */
type Node =
  | { readonly is: "number" | "string" | "bytes"; readonly text: string }
  | { readonly is: "boolean"; readonly value: boolean }
  | { readonly is: "list" | "tuple"; readonly items: readonly Node[] }
  | { readonly is: "dictionary"; readonly items: readonly (readonly [Node, Node])[] }
  | { readonly is: "variant"; readonly inner: Node }
  | { readonly is: "typed"; readonly type: DbusType; readonly inner: Node };

/** Reads a text that holds one value. Throws Error, with what is wrong and where, for anything else. */
export function parseVariant(text: string): Variant {
  const reader = new Reader(text);
  const node = reader.value(0);
  reader.blank();
  if (reader.at < text.length) throw reader.error("something behind the value");
  const type = typeOf(node);
  if (type === undefined) throw new Error(`no type: write one before it, as in @as []`);
  const variant = { signature: signatureOf(type), value: readAs(node, type) };
  // Whatever does not fit its type is refused here.
  marshal("v", [variant]);
  return variant;
}

class Reader {
  at = 0;
  constructor(readonly text: string) {}

  error(what: string): Error {
    return new Error(`${what} at character ${this.at + 1}`);
  }

  blank(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at++;
  }

  /** Takes what the pattern (sticky) matches here; undefined where it does not. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  /** Whether this letter is next; it is taken. */
  next(letter: string): boolean {
    this.blank();
    if (this.text[this.at] !== letter) return false;
    this.at++;
    return true;
  }

  value(depth: number): Node {
    if (depth > MOST_DEPTH) throw this.error("nested too deeply");
    this.blank();
    if (this.next("[")) return { is: "list", items: this.items("]", depth) };
    if (this.next("(")) return { is: "tuple", items: this.items(")", depth) };
    if (this.next("{")) return { is: "dictionary", items: this.entries(depth) };
    if (this.next("<")) {
      const inner = this.value(depth + 1);
      if (!this.next(">")) throw this.error('">" is missing');
      return { is: "variant", inner };
    }
    if (this.next("@")) {
      const type = parseSingle(this.take(/[A-Za-z(){}]+/y) ?? "");
      return { is: "typed", type, inner: this.value(depth + 1) };
    }
    const bytes = this.take(/b(?=['"])/y) !== undefined;
    const quote = this.take(/['"]/y);
    if (quote !== undefined) return { is: bytes ? "bytes" : "string", text: this.quoted(quote, bytes) };
    const number = this.take(/[+-]?(0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf\b|nan\b)/y);
    if (number !== undefined) return { is: "number", text: number };
    const word = this.take(/[a-z]\w*/y);
    if (word === "true" || word === "false") return { is: "boolean", value: word === "true" };
    if (word !== undefined && Object.hasOwn(KEYWORDS, word)) {
      return { is: "typed", type: parseSingle(KEYWORDS[word] ?? ""), inner: this.value(depth + 1) };
    }
    if (word !== undefined) this.at -= word.length;
    throw this.error(word === undefined ? "no value" : `unknown word ${JSON.stringify(word)}`);
  }

  items(end: string, depth: number): Node[] {
    const items: Node[] = [];
    while (!this.next(end)) {
      if (items.length > 0 && !this.next(",")) throw this.error(`"," or "${end}" is missing`);
      // A tuple of one is written with a comma behind it.
      if (items.length > 0 && end === ")" && this.next(end)) break;
      items.push(this.value(depth + 1));
    }
    return items;
  }

  entries(depth: number): [Node, Node][] {
    const items: [Node, Node][] = [];
    while (!this.next("}")) {
      if (items.length > 0 && !this.next(",")) throw this.error('"," or "}" is missing');
      const key = this.value(depth + 1);
      if (!this.next(":")) throw this.error('":" is missing');
      items.push([key, this.value(depth + 1)]);
    }
    return items;
  }

  quoted(quote: string, bytes: boolean): string {
    let text = "";
    for (;;) {
      const letter = this.text[this.at++];
      if (letter === undefined) throw this.error(`${quote} is missing`);
      if (letter === quote) return text;
      if (bytes && letter > "\x7f") throw this.error("not ASCII in a byte string");
      text += letter === "\\" ? this.escape(bytes) : letter;
    }
  }

  escape(bytes: boolean): string {
    const octal = bytes ? this.take(/[0-7]{1,3}/y) : undefined;
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    const code = bytes ? undefined : this.take(/u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}/y);
    if (code !== undefined) {
      const point = Number.parseInt(code.slice(1), 16);
      if (point > 0x10ffff) throw this.error("no character");
      return String.fromCodePoint(point);
    }
    const letter = this.text[this.at++] ?? "";
    const meant = ESCAPES[letter];
    if (meant === undefined) throw this.error(`unknown escape \\${letter}`);
    return meant;
  }
}

const basic = (letter: string): DbusType => ({ code: "basic", letter });

/** The type that a value has by itself; undefined where only what is around it can say (an empty list). */
function typeOf(node: Node): DbusType | undefined {
  switch (node.is) {
    case "number":
      return basic(/^[+-]?(0[xX][0-9a-fA-F]+|\d+)$/.test(node.text) ? "i" : "d");
    case "string":
      return basic("s");
    case "bytes":
      return { code: "array", of: basic("y") };
    case "boolean":
      return basic("b");
    case "variant":
      return { code: "variant" };
    case "typed":
      return node.type;
    case "tuple": {
      const of = node.items.map(typeOf);
      return of.length > 0 && of.every((type) => type !== undefined) ? { code: "struct", of } : undefined;
    }
    case "list": {
      const of = commonType(node.items);
      return of === undefined ? undefined : { code: "array", of };
    }
    case "dictionary": {
      const key = commonType(node.items.map(([one]) => one));
      const value = commonType(node.items.map(([, one]) => one));
      if (key === undefined || value === undefined) return undefined;
      return { code: "array", of: { code: "entry", of: [key, value] } };
    }
  }
}

/** Whole numbers among doubles are doubles; otherwise the first that has a type says it for all. */
function commonType(nodes: readonly Node[]): DbusType | undefined {
  const typed = nodes.find((node) => node.is === "typed");
  if (typed !== undefined) return typeOf(typed);
  const types = nodes.map(typeOf).filter((type) => type !== undefined);
  return types.find((type) => type.code === "basic" && type.letter === "d") ?? types[0];
}

function readAs(node: Node, type: DbusType): DbusValue {
  const not = (): Error => new Error(`a ${node.is} where ${signatureOf(type)} is expected`);
  switch (node.is) {
    case "typed":
      if (signatureOf(node.type) !== signatureOf(type)) throw not();
      return readAs(node.inner, type);
    case "variant": {
      const inner = typeOf(node.inner);
      if (type.code !== "variant" || inner === undefined) throw not();
      return { signature: signatureOf(inner), value: readAs(node.inner, inner) };
    }
    case "bytes": {
      if (type.code !== "array" || signatureOf(type) !== "ay") throw not();
      // A byte string ends in a NUL, which is not written.
      return Uint8Array.from(`${node.text}\0`, (letter) => letter.charCodeAt(0));
    }
    case "list":
      if (type.code !== "array" || type.of.code === "entry") throw not();
      return node.items.map((item) => readAs(item, type.of));
    case "dictionary": {
      const entry = type.code === "array" ? type.of : undefined;
      if (entry?.code !== "entry") throw not();
      const [key, value] = entry.of;
      if (key === undefined || value === undefined) throw not();
      return node.items.map(([name, one]) => [readAs(name, key), readAs(one, value)]);
    }
    case "tuple":
      if (type.code !== "struct" || type.of.length !== node.items.length) throw not();
      return type.of.map((field, index) => readAs(node.items[index] ?? node, field));
    default:
      if (type.code !== "basic") throw not();
      return basicOf(node, type.letter, not);
  }
}

function basicOf(node: Node, letter: string, not: () => Error): DbusValue {
  if (node.is === "boolean" && letter === "b") return node.value;
  if (node.is === "string" && "sog".includes(letter)) return node.text;
  if (node.is !== "number" || "bsog".includes(letter)) throw not();
  const { text } = node;
  if (letter === "d") return Number(text.replace(/inf/, "Infinity"));
  if (!/^[+-]?(0[xX][0-9a-fA-F]+|\d+)$/.test(text)) throw not();
  // As GLib and C have it, a number that begins with 0 is octal.
  const digits = text.replace(/^[+-]/, "");
  if (/^0\d*[89]/.test(digits)) throw not();
  const magnitude = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const whole = text.startsWith("-") ? -magnitude : magnitude;
  return letter === "x" || letter === "t" ? whole : Number(whole);
}
