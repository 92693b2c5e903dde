// A bundle whose root file system has calls.c of this folder as /calls64 and /calls32, and what it is asked to do. Where
// it runs, and with which runtime, is up to the tests.

import { join } from "node:path";
import { type SyscallTable, syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import { runCommand } from "../bundle.ts";

export type Bits = 64 | 32;

/** Compiles it into a root file system, for each of `bits`. */
export function compileCalls(rootfs: string, bits: readonly Bits[]): void {
  for (const each of bits) {
    const out = join(rootfs, `calls${each}`);
    const source = join(import.meta.dir, "calls.c");
    const built = runCommand(["gcc", `-m${each}`, "-static", "-O1", "-Wall", "-Werror", "-o", out, source]);
    if (built.code !== 0) throw new Error(`gcc -m${each} (npm test installs gcc-multilib): ${built.err}`);
  }
}

export type Mode = "call" | "fork" | "thread" | "forkthread" | "int80" | "int80fork" | "trap" | "filter";

/** Numbers of calls by name, those that int80 takes being i386's. */
export interface Calls {
  /** One call, as the program's argument. `what`: a name, or a number; `label`: what its line begins with. */
  (mode: Mode, what: string | number, args?: readonly (bigint | number)[], label?: string): string;
  number(name: string): number;
}

/** For a program of so many bits. */
export function callsOf(bits: Bits): Calls {
  const own: SyscallTable = bits === 64 ? "x86_64" : "i386";
  const number = (name: string, table = own): number => {
    const found = syscallNumbers(table).get(name);
    if (found === undefined) throw new Error(`${table} has no call ${name}`);
    return found;
  };
  const call = (
    mode: Mode,
    what: string | number,
    args: readonly (bigint | number)[] = [],
    label = `${what}`,
  ): string => {
    const nr = typeof what === "number" ? what : number(what, mode.startsWith("int80") ? "i386" : own);
    return `${mode}:${label}:${nr}:${args.join(",")}`;
  };
  return Object.assign(call, { number: (name: string) => number(name) });
}

/** The line of that name in the program's /proc/self/status. */
export const status = (name: string): string => `status:${name}`;
