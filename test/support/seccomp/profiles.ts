/**
 * Profiles made at random, from a seed: of every action, operator and architecture, with values around the borders of
 * words, and system calls of every kind.
 */
import fc from "fast-check";
import { coveredAbis } from "../../../drivers/seccomp/abi.ts";
import type { Host } from "../../../src/driver.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import {
  type LinuxSeccomp,
  type LinuxSyscall,
  SECCOMP_ACTIONS,
  SECCOMP_OPERATORS,
  type SeccompAction,
  type SeccompArchitecture,
  type SeccompOperator,
} from "../../../src/spec/runtime/seccomp.ts";

/**
 * `names`: long lists without conditions. `agreeing`: the rules with conditions on one call have one action.
 * `contradicting`: rules of different actions may match the same arguments. `equalities`: many values of one argument.
 */
export const KINDS = ["names", "agreeing", "contradicting", "equalities"] as const;
export type Kind = (typeof KINDS)[number];

const architectures: Readonly<Record<Host["arch"], SeccompArchitecture[]>> = {
  x86_64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  aarch64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

/** Calls that the rules with conditions are about: plain ones, hidden ones of i386, those of one architecture only. */
const looked =
  "read kill clone socket bind semop waitpid openat2 fcntl ioctl prctl personality sync_file_range2 no_such_call".split(
    " ",
  );

const value = fc.oneof(
  fc.constantFrom(0n, 1n, 5n, 40n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0005n, 0x5_0000_0001n),
  fc.constantFrom(0x7fff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn, 0xffff_ffff_0000_0000n, 0x7e02_0000n),
  fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
);

function arg(operators: readonly SeccompOperator[] = SECCOMP_OPERATORS) {
  return fc.record(
    { index: fc.integer({ min: 0, max: 5 }), op: fc.constantFrom(...operators), value, valueTwo: value },
    { requiredKeys: ["index", "op", "value"] },
  );
}

const actions = SECCOMP_ACTIONS;
const errnos = fc.constantFrom(undefined, 0, 13, 38, 4094);

/** An action with the errno that it may have. */
const answered = fc.record({ action: fc.constantFrom(...actions), errnoRet: errnos });

function rule(
  { action, errnoRet }: { action: SeccompAction; errnoRet: number | undefined },
  more: Pick<LinuxSyscall, "names" | "args">,
): LinuxSyscall {
  const takes = action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE";
  return { ...more, action, ...(takes && errnoRet !== undefined && { errnoRet }) };
}

function conditional(operators?: readonly SeccompOperator[]) {
  return fc.record({
    name: fc.constantFrom(...looked),
    args: fc.array(arg(operators), { minLength: 1, maxLength: 3 }),
    answer: answered,
  });
}

function plain(arch: Host["arch"], maxLength: number) {
  const names = coveredAbis(arch, architectures[arch]).flatMap(({ table }) => [
    ...syscallNumbers(table).keys(),
  ]);
  return fc
    .record({
      names: fc.array(fc.constantFrom(...new Set(names)), { minLength: 1, maxLength }),
      answer: answered,
    })
    .map(({ names: some, answer }) => rule(answer, { names: some }));
}

function rulesOf(kind: Kind, arch: Host["arch"]): fc.Arbitrary<LinuxSyscall[]> {
  switch (kind) {
    case "names":
      return fc.array(plain(arch, 200), { minLength: 1, maxLength: 6 });
    case "agreeing":
      return fc
        .tuple(
          fc.array(answered, { minLength: looked.length, maxLength: looked.length }),
          fc.array(conditional(), { minLength: 1, maxLength: 8 }),
          fc.array(plain(arch, 20), { maxLength: 2 }),
        )
        .map(([answers, conditions, rest]) => [
          ...conditions.map(({ name, args, answer }) =>
            rule(answers[looked.indexOf(name)] ?? answer, { names: [name], args }),
          ),
          ...rest,
        ]);
    case "contradicting":
      return fc
        .tuple(
          fc.constantFrom(...looked),
          fc.array(conditional(), { minLength: 2, maxLength: 6 }),
          fc.array(plain(arch, 20), { maxLength: 2 }),
        )
        .map(([name, conditions, rest]) => [
          ...conditions.map(({ args, answer }) => rule(answer, { names: [name], args })),
          ...rest,
        ]);
    case "equalities":
      return fc
        .array(
          fc.record({
            name: fc.constantFrom(...looked),
            index: fc.integer({ min: 0, max: 5 }),
            values: fc.uniqueArray(value, { minLength: 1, maxLength: 24 }),
            answer: answered,
          }),
          { minLength: 1, maxLength: 4 },
        )
        .map((lists) =>
          lists.flatMap(({ name, index, values, answer }) =>
            values.map((one) =>
              rule(answer, { names: [name], args: [{ index, op: "SCMP_CMP_EQ", value: one }] }),
            ),
          ),
        );
  }
}

/** A profile for a host. */
export function profileOf(kind: Kind, arch: Host["arch"]): fc.Arbitrary<LinuxSeccomp> {
  return fc
    .record({
      defaultAction: fc.constantFrom(...actions.filter((action) => action !== "SCMP_ACT_NOTIFY")),
      architectures: fc.subarray(architectures[arch]),
      syscalls: rulesOf(kind, arch),
    })
    .map((profile): LinuxSeccomp => profile);
}

/** So many profiles of a kind; the same ones for the same seed. */
export function sampleProfiles(kind: Kind, arch: Host["arch"], count: number, seed: number): LinuxSeccomp[] {
  return fc.sample(profileOf(kind, arch), { numRuns: count, seed });
}
