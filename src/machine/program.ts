/**
 * Writes init steps as the program of the init machine: a static ELF of one page of code, the table, and its data.
 * What lives here: the layout (docs/machine.md) and the encoding of rows. Not here: which rows a container needs
 * (plan/), the stub's code (stub-*.s).
 */
import { fail } from "../error.ts";
import { ERRNO } from "../kernel/errno.ts";
import { SYSCALLS, type Syscall } from "../kernel/syscalls.ts";
import type { AddressArg, Arg, InitStep, Row } from "../plan/step.ts";
import { STUB_AARCH64 } from "./stub-aarch64.ts";
import { STUB_X86_64 } from "./stub-x86_64.ts";

/** Architectures that a program can be written for. */
export type MachineArch = "x86_64" | "aarch64";

const CODE_BASE = 0x400000;
/** Header of the data part: the report descriptor. The table follows. */
const DATA_BASE = 0x601000;
const TABLE_BASE = DATA_BASE + 64;
const DATA_OFFSET = 4096;
const HEADERS = 64 + 56 * 3;
const ROW = 64;
const MAX_ARGS = 6;
const TEST = 0xffff;
const FAIL = 0xfffe;

/** A written program, and how to find a step from the row that failed. */
export interface MachineProgram {
  readonly elf: Uint8Array;
  /** Row index to index in the steps that were given. */
  readonly stepOfRow: readonly number[];
  /** Row index to the row. */
  readonly rows: readonly Row[];
}

/** What the program is written for. */
export interface ProgramRequest {
  readonly steps: readonly InitStep[];
  readonly arch: MachineArch;
  /** Numbers of the descriptors that the init inherits, by name; `report` must be among them. */
  readonly descriptors: Readonly<Record<string, number>>;
}

/** Growing memory of the data part. Addresses are absolute. */
class Data {
  bytes = new Uint8Array(32768);
  view = new DataView(this.bytes.buffer);
  end: number;
  readonly #strings = new Map<string, number>();
  readonly #named = new Map<string, { readonly address: number; readonly size: number }>();

  constructor(end: number) {
    this.end = end;
    this.reserve(0);
  }

  /** Makes room for `size` bytes, 8-byte aligned, and returns their offset from DATA_BASE. */
  reserve(size: number): number {
    const at = (this.end + 7) & ~7;
    this.end = at + size;
    if (this.end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.end, this.bytes.length * 2));
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
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
    const { written } = encoder.encodeInto(text, this.bytes.subarray(at, at + length));
    this.end = at + written + 1;
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

  /** Two's complement, little endian. */
  word(at: number, value: number | bigint): void {
    if (typeof value === "bigint") this.view.setBigUint64(at, BigInt.asUintN(64, value), true);
    else {
      this.view.setUint32(at, value >>> 0, true);
      this.view.setUint32(at + 4, Math.floor(value / 0x100000000) >>> 0, true);
    }
  }
}

const encoder = new TextEncoder();

/** Writes the program. Throws INTERNAL for a plan that names what it does not define. */
export function writeProgram(request: ProgramRequest): MachineProgram {
  const { steps, descriptors } = request;
  const column = request.arch === "aarch64" ? 1 : 0;
  const rows: Row[] = [];
  const stepOfRow: number[] = [];
  const labels = new Map<string, number>();
  steps.forEach((step, index) => {
    for (const row of step.rows) {
      if (row.label !== undefined) {
        if (labels.has(row.label))
          throw fail({ code: "INTERNAL", message: `label ${row.label} stands twice` });
        labels.set(row.label, TABLE_BASE + rows.length * ROW);
      }
      rows.push(row);
      stepOfRow.push(index);
    }
  });
  const data = new Data(64 + (rows.length + 1) * ROW);
  for (const step of steps) {
    if (step.buffers === undefined) continue;
    for (const [name, content] of Object.entries(step.buffers)) {
      if (typeof content === "number") data.declare(name, content);
      else {
        const at = data.declare(name, content.byteLength) - DATA_BASE;
        data.bytes.set(content, at);
      }
    }
  }

  const label = (name: string): number => {
    const address = labels.get(name);
    if (address === undefined) throw fail({ code: "INTERNAL", message: `no row carries the label ${name}` });
    return address;
  };
  const descriptor = (name: string): number => {
    const fd = Object.hasOwn(descriptors, name) ? descriptors[name] : undefined;
    if (fd === undefined) throw fail({ code: "INTERNAL", message: `no descriptor is named ${name}` });
    return fd;
  };
  const place = (where: AddressArg, size: number): number => data.inside(where.at, where.offset ?? 0, size);
  const encode = (arg: Arg): number | bigint => {
    if (typeof arg === "number" || typeof arg === "bigint") return arg;
    if (typeof arg === "string") return data.string(arg);
    if ("at" in arg) return place(arg, 0);
    if ("fd" in arg) return descriptor(arg.fd);
    if ("label" in arg) return label(arg.label);
    if ("slot" in arg) throw fail({ code: "INTERNAL", message: `slot ${arg.slot} inside a constant struct` });
    if ("bytes" in arg) {
      const at = data.reserve(arg.bytes.byteLength);
      data.bytes.set(arg.bytes, at);
      return DATA_BASE + at;
    }
    const at = data.reserve(arg.words.length * 8);
    for (let i = 0; i < arg.words.length; i++) {
      const word = arg.words[i];
      if (word !== undefined) data.word(at + i * 8, encode(word));
    }
    return DATA_BASE + at;
  };

  for (let index = 0; index < rows.length; index++) {
    const row = rows[index];
    if (row === undefined) continue;
    const at = 64 + index * ROW;
    let indirect = 0;
    const args = row.args;
    if (args.length > MAX_ARGS) {
      throw fail({ code: "INTERNAL", message: `${row.call} has ${args.length} arguments: more than six` });
    }
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      if (arg === undefined) continue;
      let value: number | bigint;
      if (typeof arg === "object" && "slot" in arg) {
        indirect |= 1 << i;
        value = data.inside(arg.slot, arg.offset ?? 0, 1);
      } else {
        value = encode(arg);
      }
      data.word(at + 8 + i * 8, value);
    }
    const nr =
      row.call === "test" ? TEST : row.call === "fail" ? FAIL : SYSCALLS[row.call as Syscall]?.[column];
    if (nr === undefined) throw fail({ code: "INTERNAL", message: `there is no call named ${row.call}` });
    const store =
      row.store === undefined
        ? 0
        : typeof row.store === "string"
          ? data.named(row.store)
          : place(row.store, 8);
    const view = data.view;
    view.setUint16(at, nr, true);
    view.setUint8(at + 2, indirect);
    view.setUint8(at + 3, allowByte(row.allow));
    view.setUint32(at + 4, store, true);
    if (row.onError !== undefined) view.setUint32(at + 56, label(row.onError), true);
    if (row.onZero !== undefined) view.setUint32(at + 60, label(row.onZero), true);
  }
  guard(data, rows.length);
  data.word(0, descriptor("report"));
  return { elf: writeElf(request.arch, data.bytes.subarray(0, data.end)), stepOfRow, rows };
}

/**
 * The row behind the last one: what stands there next is data, which the stub would carry out as rows. A program that
 * runs past its end fails in its last row instead, with ENOEXEC.
 */
function guard(data: Data, rows: number): void {
  const at = 64 + rows * ROW;
  data.view.setUint16(at, FAIL, true);
  data.word(at + 8, -ERRNO.ENOEXEC);
  data.word(at + 16, TABLE_BASE + Math.max(rows - 1, 0) * ROW);
}

function allowByte(allow: string | undefined): number {
  if (allow === undefined) return 0;
  if (allow === "any") return 0xff;
  const errno = Object.hasOwn(ERRNO, allow) ? ERRNO[allow as keyof typeof ERRNO] : undefined;
  if (errno === undefined) throw fail({ code: "INTERNAL", message: `there is no errno named ${allow}` });
  return errno;
}

/** A static executable (elf(5)): code to read and execute, data to read and write, a stack that cannot execute. */
function writeElf(arch: MachineArch, data: Uint8Array): Uint8Array {
  const stub = Buffer.from(arch === "aarch64" ? STUB_AARCH64 : STUB_X86_64, "base64");
  const elf = new Uint8Array(DATA_OFFSET + data.byteLength);
  const view = new DataView(elf.buffer);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, arch === "aarch64" ? 183 : 62, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, CODE_BASE + HEADERS, true);
  view.setUint32(32, 64, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 3, true);
  const segment = (
    at: number,
    type: number,
    flags: number,
    offset: number,
    address: number,
    size: number,
  ) => {
    view.setUint32(at, type, true);
    view.setUint32(at + 4, flags, true);
    view.setUint32(at + 8, offset, true);
    view.setUint32(at + 16, address, true);
    view.setUint32(at + 24, address, true);
    view.setUint32(at + 32, size, true);
    view.setUint32(at + 40, size, true);
    view.setUint32(at + 48, type === 1 ? 4096 : 16, true);
  };
  segment(64, 1, 5, 0, CODE_BASE, HEADERS + stub.byteLength);
  segment(120, 1, 6, DATA_OFFSET, DATA_BASE, data.byteLength);
  segment(176, 0x6474e551, 6, 0, 0, 0); // PT_GNU_STACK
  elf.set(stub, HEADERS);
  elf.set(data, DATA_OFFSET);
  return elf;
}
