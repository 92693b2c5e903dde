/**
 * The memory of a program of the init machine, as it grows: the table's place, strings, structs, slots, buffers.
 * Not here: what is written where (program.ts).
 */
import { fail } from "../error.ts";

/** Address of the data part. Its first 64 bytes are the header, with the number of the report descriptor. */
export const DATA_BASE = 0x601000;
/** Address of the first row. */
export const TABLE_BASE = DATA_BASE + 64;

/** Growing memory of the data part. Addresses are absolute. */
export class Data {
  #bytes = new Uint8Array(32768);
  /** The same memory in words: writing it is what most of a program's making consists of. */
  #words = new Uint32Array(this.#bytes.buffer);
  #end: number;
  readonly #strings = new Map<string, number>();
  readonly #named = new Map<string, { readonly address: number; readonly size: number }>();

  constructor(end: number) {
    this.#end = end;
    this.reserve(0);
  }

  /** Makes room for `size` bytes, 8-byte aligned, and returns their offset from DATA_BASE. */
  reserve(size: number): number {
    const at = (this.#end + 7) & ~7;
    this.#end = at + size;
    if (this.#end > this.#bytes.length) {
      const larger = new Uint8Array((Math.max(this.#end, this.#bytes.length * 2) + 7) & ~7);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#words = new Uint32Array(larger.buffer);
    }
    return at;
  }

  string(text: string): number {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    if (text.includes("\0")) {
      throw fail({ code: "INVALID_ARGUMENT", message: `a NUL character in ${JSON.stringify(text)}` });
    }
    const length = text.length * 3 + 1;
    const at = this.reserve(length);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(at, at + length));
    this.#end = at + written + 1;
    const address = DATA_BASE + at;
    this.#strings.set(text, address);
    return address;
  }

  /** Address of a slot (8 bytes) or buffer; a slot comes into being when it is first named. */
  named(name: string): number {
    return this.#named.get(name)?.address ?? this.declare(name, 8);
  }

  /** Address `offset` bytes into a slot or buffer, with room there for `size` bytes. */
  inside(name: string, offset: number, size: number): number {
    const address = this.named(name);
    const room = ((this.#named.get(name)?.size ?? 0) + 7) & ~7;
    if (offset < 0 || offset + size > room) {
      throw fail({ code: "INTERNAL", message: `offset ${offset} is outside of buffer ${name}` });
    }
    return address + offset;
  }

  declare(name: string, size: number): number {
    if (this.#named.has(name)) throw fail({ code: "INTERNAL", message: `buffer ${name} declared twice` });
    const address = DATA_BASE + this.reserve(size);
    this.#named.set(name, { address, size });
    return address;
  }

  /** Copies bytes to an offset that was reserved. */
  put(at: number, content: Uint8Array): void {
    this.#bytes.set(content, at);
  }

  /** Four bytes at an offset that is a multiple of 4. */
  word32(at: number, value: number): void {
    this.#words[at >>> 2] = value;
  }

  /** Eight bytes at an offset that is a multiple of 4, in two's complement. */
  word(at: number, value: number | bigint): void {
    const index = at >>> 2;
    if (typeof value === "bigint") {
      this.#words[index] = Number(BigInt.asUintN(32, value));
      this.#words[index + 1] = Number(BigInt.asUintN(64, value) >> 32n);
    } else {
      this.#words[index] = value;
      this.#words[index + 1] = value >= 0 && value <= 0xffffffff ? 0 : Math.floor(value / 0x100000000);
    }
  }

  /** All that was written. */
  content(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }
}

const encoder = new TextEncoder();
