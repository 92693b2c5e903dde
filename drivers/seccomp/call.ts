/**
 * A system call as people name it: by name or by number. Not here: the tables (kernel/syscall-tables).
 */
import type { Host } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { X32_SYSCALL_BIT } from "../../src/kernel/seccomp.ts";
import { syscallNames, syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import { type Abi, abisOf } from "./abi.ts";

/** A call of an architecture. */
export interface NamedCall {
  readonly abi: Abi;
  readonly number: number;
  /** The number again, where it has no name. */
  readonly name: string;
}

/**
 * Finds a call: `openat`, `257`, `0x101`, `-1`.
 * @throws CtrError USAGE for what is neither a number of 32 bits nor a call of this architecture
 */
export function findCall(arch: Host["arch"], abi: Abi, text: string): NamedCall {
  const known = syscallNumbers(abi.table).get(text);
  if (known !== undefined) return { abi, number: known, name: text };
  if (!/^(?:-?\d+|0x[0-9a-f]+)$/i.test(text)) throw noSuchCall(arch, abi, text);
  const value = Number(text);
  if (value < -(2 ** 31) || value >= 2 ** 32) {
    throw fail({
      code: "USAGE",
      field: "SYSCALL",
      message: `${text} is no number of a system call: they have 32 bits`,
    });
  }
  const number = value >>> 0;
  // The kernel tells x32 from x86-64 by this bit alone; -1 has it and is neither's.
  const isX32 = abi.table === "x86_64" && number >= X32_SYSCALL_BIT && number !== 0xffff_ffff;
  const own = isX32 ? abisOf(arch).find(([, each]) => each.table === "x32")?.[1] : undefined;
  return named(
    own ?? abi,
    abi.table === "x32" && number < X32_SYSCALL_BIT ? number + X32_SYSCALL_BIT : number,
  );
}

function named(abi: Abi, number: number): NamedCall {
  return { abi, number, name: syscallNames(abi.table).get(number) ?? String(number | 0) };
}

function noSuchCall(arch: Host["arch"], { table }: Abi, text: string): Error {
  const elsewhere = abisOf(arch).find(([, abi]) => syscallNumbers(abi.table).has(text))?.[1];
  return fail({
    code: "USAGE",
    field: "SYSCALL",
    message: `${table} has no system call ${JSON.stringify(text)}`,
    hint:
      elsewhere === undefined
        ? "syscalls(2) lists them; a number does as well"
        : `${elsewhere.table} has: --arch ${elsewhere.table}`,
  });
}
