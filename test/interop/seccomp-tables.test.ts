/** The tables of system calls of all architectures beside libseccomp's, which are made apart from ours. */
import { expect, test } from "bun:test";
import { architectureTables } from "../../drivers/seccomp/abi.ts";
import { syscallNames, syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import { SECCOMP_ARCHITECTURES } from "../../src/spec/runtime/seccomp.ts";
import { libseccompNames, libseccompNumbers, tokens } from "../support/seccomp/libseccomp.ts";

/** What libseccomp 2.5 does not know at all. */
const unknown: string[] = ["SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB"];

test("every architecture of the specification has a table", () => {
  const without: string[] = SECCOMP_ARCHITECTURES.filter((name) => tokens[name] === undefined);
  expect(without.toSorted()).toEqual(unknown.toSorted());
  for (const name of SECCOMP_ARCHITECTURES) {
    expect([name, syscallNumbers(architectureTables[name]).size > 300]).toEqual([name, true]);
  }
});

test.each(SECCOMP_ARCHITECTURES.filter((name) => !unknown.includes(name)))(
  "%s: the same numbers",
  (architecture) => {
    const token = tokens[architecture] ?? 0;
    const ours = [...syscallNumbers(architectureTables[architecture])];
    const theirs = libseccompNumbers(
      token,
      ours.map(([name]) => name),
    );
    // A negative number: libseccomp is too old for the name, or takes it for none of the architecture's.
    const others = ours.flatMap(([name, number], at) => {
      const their = theirs[at] ?? -1;
      return their >= 0 && their !== number ? [{ name, number, their }] : [];
    });
    expect(others).toEqual([]);
    const known = theirs.filter((number) => number >= 0).length;
    expect(known).toBeGreaterThan(280);
  },
);

test.each(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64"] as const)(
  "%s: no call of libseccomp's is missing",
  (architecture) => {
    const numbers = Array.from({ length: 600 }, (_, number) => number);
    const theirs = libseccompNames(tokens[architecture] ?? 0, numbers);
    const ours = syscallNames(architectureTables[architecture]);
    expect(numbers.filter((number) => theirs[number] !== undefined && !ours.has(number))).toEqual([]);
  },
);
