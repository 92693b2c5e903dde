/**
 * Every system call of every architecture that a profile may name, by name and by number.
 * What lives here: reading the tables beside this file, each on first use. Not here: the calls that ctr-bun
 * itself makes (kernel/syscalls.ts).
 */
import { X32_SYSCALL_BIT } from "../seccomp.ts";
import { aarch64 } from "./aarch64.ts";
import { arm } from "./arm.ts";
import type { ForeignTable } from "./foreign.ts";
import { i386 } from "./i386.ts";
import { x32 } from "./x32.ts";
import { x86_64 } from "./x86_64.ts";

/** An architecture as a table of system calls: x32 is one of its own, though the kernel calls it x86-64. */
export type SyscallTable = NativeTable | ForeignTable;

/** Those that a process on x86-64 or aarch64 can make calls of. */
type NativeTable = "x86_64" | "i386" | "x32" | "aarch64" | "arm";

// Functions, so that the text of a table is not even made into a string before somebody asks for it.
const texts: Readonly<Record<NativeTable, () => string>> = { x86_64, i386, x32, aarch64, arm };

function textOf(table: SyscallTable): string {
  if (table in texts) return texts[table as NativeTable]();
  const { foreign } = require("./foreign.ts") as typeof import("./foreign.ts");
  return foreign[table as ForeignTable]();
}

const numbers = new Map<SyscallTable, ReadonlyMap<string, number>>();
const names = new Map<SyscallTable, ReadonlyMap<number, string>>();

/** Name to number; x32's numbers with their bit. A number may have two names. */
export function syscallNumbers(table: SyscallTable): ReadonlyMap<string, number> {
  let known = numbers.get(table);
  if (known === undefined) {
    known = read(textOf(table), table === "x32" ? X32_SYSCALL_BIT : 0);
    numbers.set(table, known);
  }
  return known;
}

/** Number to name; of two names the first one in the alphabet. */
export function syscallNames(table: SyscallTable): ReadonlyMap<number, string> {
  let known = names.get(table);
  if (known === undefined) {
    const made = new Map<number, string>();
    for (const [name, number] of syscallNumbers(table)) if (!made.has(number)) made.set(number, name);
    known = made;
    names.set(table, known);
  }
  return known;
}

function read(text: string, base: number): Map<string, number> {
  const table = new Map<string, number>();
  let next = 0;
  for (const word of text.trim().replaceAll("\n", " ").split(" ")) {
    const first = word.charCodeAt(0);
    if (first >= 0x30 && first <= 0x39) next = Number(word);
    else table.set(word, base + next++);
  }
  return table;
}
