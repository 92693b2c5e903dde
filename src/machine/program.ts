/**
 * Writes init steps as the program of the init machine: a static ELF of one page of code, the table, and its data.
 * What lives here: the encoding of rows. Not here: which rows a container needs (plan/), the memory that they are
 * written into (data.ts), the file around it (elf.ts).
 */
import { fail } from "../error.ts";
import { ERRNO } from "../kernel/errno.ts";
import { SYSCALLS, type Syscall } from "../kernel/syscalls.ts";
import type { AddressArg, Arg, InitStep, Row } from "../plan/step.ts";
import { DATA_BASE, Data, TABLE_BASE } from "./data.ts";
import { type MachineArch, writeElf } from "./elf.ts";

export type { MachineArch };

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
        data.put(data.declare(name, content.byteLength) - DATA_BASE, content);
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
    if ("fd" in arg) return descriptor(arg.fd) + (arg.plus ?? 0);
    if ("label" in arg) return label(arg.label);
    if ("slot" in arg) throw fail({ code: "INTERNAL", message: `slot ${arg.slot} inside a constant struct` });
    if ("bytes" in arg) {
      const at = data.reserve(arg.bytes.byteLength);
      data.put(at, arg.bytes);
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
    data.word32(at, nr + indirect * 0x10000 + allowByte(row.allow) * 0x1000000);
    data.word32(at + 4, store);
    if (row.onError !== undefined) data.word32(at + 56, label(row.onError));
    if (row.onZero !== undefined) data.word32(at + 60, label(row.onZero));
  }
  guard(data, rows.length);
  data.word(0, descriptor("report"));
  return { elf: writeElf(request.arch, data.content()), stepOfRow, rows };
}

/**
 * The row behind the last one: what stands there next is data, which the stub would carry out as rows. A program that
 * runs past its end fails in its last row instead, with ENOEXEC.
 */
function guard(data: Data, rows: number): void {
  const at = 64 + rows * ROW;
  data.word32(at, FAIL);
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
