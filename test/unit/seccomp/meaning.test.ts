import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { coveredAbis } from "../../../drivers/seccomp/abi.ts";
import { compile } from "../../../drivers/seccomp/compile.ts";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import type { Host } from "../../../src/driver.ts";
import { X32_SYSCALL_BIT } from "../../../src/kernel/seccomp.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import {
  type LinuxSyscall,
  SECCOMP_OPERATORS,
  type SeccompAction,
  type SeccompArchitecture,
} from "../../../src/spec/runtime/seccomp.ts";
import { boundaries, expected } from "../../support/seccomp/meaning.ts";

const kernel = [6, 1] as const;

describe("every profile means in BPF what it says", () => {
  // Rules with args of one call share its action: what happens to two actions is tried by hand in compile.test.ts.
  const calls: Record<string, SeccompAction> = {
    read: "SCMP_ACT_TRAP",
    kill: "SCMP_ACT_ALLOW",
    clone: "SCMP_ACT_ERRNO",
    socket: "SCMP_ACT_TRACE",
    bind: "SCMP_ACT_ALLOW",
    semop: "SCMP_ACT_KILL_PROCESS",
    set_tls: "SCMP_ACT_ALLOW",
    waitpid: "SCMP_ACT_KILL",
    openat2: "SCMP_ACT_ALLOW",
    no_such_call: "SCMP_ACT_ALLOW",
  };
  const value = fc.oneof(
    fc.constantFrom(0n, 1n, 5, 0xffff_ffffn, 0x1_0000_0000, 0x1_0000_0005n, 0xffff_ffff_ffff_ffffn),
    fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
  );
  const arg = fc.record({
    index: fc.integer({ min: 0, max: 5 }),
    op: fc.constantFrom(...SECCOMP_OPERATORS),
    value,
    valueTwo: fc.option(value, { nil: undefined }),
  });
  const conditional = fc
    .record({
      name: fc.constantFrom(...Object.keys(calls)),
      args: fc.array(arg, { minLength: 1, maxLength: 4 }),
    })
    .map(
      ({ name, args }): LinuxSyscall => ({ names: [name], action: calls[name] ?? "SCMP_ACT_ALLOW", args }),
    );
  const action = fc.constantFrom<SeccompAction>("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_TRAP");
  const names = fc.constantFrom(...Object.keys(calls), ...syscallNumbers("x86_64").keys());
  const plain = fc
    .record({ names: fc.array(names, { minLength: 1, maxLength: 80 }), action })
    .map((rule): LinuxSyscall => rule);
  const profile = (architectures: SeccompArchitecture[]) =>
    fc.record({
      defaultAction: fc.constantFrom<SeccompAction>("SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_KILL"),
      architectures: fc.subarray(architectures),
      syscalls: fc.array(fc.oneof(conditional, conditional, plain), { maxLength: 8 }),
    });

  const hosts: [Host["arch"], SeccompArchitecture[]][] = [
    ["x86_64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"]],
    ["aarch64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X86"]],
  ];
  test.each(hosts)("on %s", (arch, architectures) => {
    fc.assert(
      fc.property(profile(architectures), (given) => {
        const { filter } = compile(given, arch, kernel);
        const tried = boundaries(given);
        for (const abi of coveredAbis(arch, given.architectures)) {
          const base = abi.table === "x32" ? X32_SYSCALL_BIT : 0;
          const named = new Set(
            given.syscalls.filter(({ args }) => args !== undefined).flatMap((rule) => rule.names),
          );
          const looked = new Set(
            [...named, "socketcall", "ipc"].map((name) => syscallNumbers(abi.table).get(name)),
          );
          const numbers = Array.from({ length: 480 }, (_, index) => base + index);
          for (const number of [...numbers, 0xf_0000 + base, 0xf_0005 + base, 0xffff_ffff]) {
            const picks = looked.has(number) ? tried.keys() : [0];
            for (const pick of picks) {
              const at = (step: number): bigint => tried[(pick + step * 7) % tried.length] ?? 0n;
              for (const args of [Array(6).fill(at(0)), [at(0), at(1), at(2), at(3), at(4), at(5)]]) {
                const got = interpret(filter, { number, audit: abi.audit, args });
                if (got !== expected(given, abi, number, args)) {
                  expect({ abi, number, args, got }).toEqual({
                    abi,
                    number,
                    args,
                    got: expected(given, abi, number, args),
                  });
                }
              }
            }
          }
        }
      }),
      { numRuns: 60, seed: 42 },
    );
  });
});
