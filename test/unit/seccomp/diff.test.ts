import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { abisOf } from "../../../drivers/seccomp/abi.ts";
import { answerText } from "../../../drivers/seccomp/answer.ts";
import { compile } from "../../../drivers/seccomp/compile.ts";
import type { Test } from "../../../drivers/seccomp/condition.ts";
import { defaultProfile } from "../../../drivers/seccomp/default-profile.ts";
import { diff } from "../../../drivers/seccomp/diff.ts";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import { situationsOf } from "../../../drivers/seccomp/situations.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscall, LinuxSyscallArg } from "../../../src/spec/runtime/seccomp.ts";
import { boundaries } from "../../support/seccomp/meaning.ts";
import { CALLS, kernel, profiles, sourceOf } from "./profiles.ts";

function between(one: LinuxSeccomp, other: LinuxSeccomp): unknown[] {
  return diff(sourceOf(one), sourceOf(other), "x86_64").map(
    ({ architecture, syscall, when, args, verdicts }) => [
      `${syscall} of ${architecture}`,
      ...(when === undefined ? [] : [when, args?.slice(0, 2)]),
      ...verdicts,
    ],
  );
}

const where = (...args: LinuxSyscallArg[]): LinuxSyscall[] => [
  { names: ["kill"], action: "SCMP_ACT_ALLOW", args },
  { names: ["futex_waitv"], action: "SCMP_ACT_ALLOW" },
];
const eq = (index: number, value: number | bigint): LinuxSyscallArg => ({ index, op: "SCMP_CMP_EQ", value });

describe("diff compares what profiles mean", () => {
  const base: LinuxSeccomp = { defaultAction: "SCMP_ACT_ERRNO", architectures: ["SCMP_ARCH_X86_64"] };

  test("the same in other words is no difference", () => {
    const one: LinuxSeccomp = {
      ...base,
      defaultErrnoRet: 1,
      syscalls: [
        { names: ["write", "read", "futex_waitv"], action: "SCMP_ACT_ALLOW" },
        { names: ["open"], action: "SCMP_ACT_ERRNO" },
        { names: ["kill"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, op: "SCMP_CMP_GT", value: 4 }] },
      ],
    };
    const other: LinuxSeccomp = {
      ...base,
      syscalls: [
        { names: ["kill"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, op: "SCMP_CMP_GE", value: 5 }] },
        { names: ["read"], action: "SCMP_ACT_ALLOW" },
        { names: ["write"], action: "SCMP_ACT_ALLOW" },
        { names: ["futex_waitv"], action: "SCMP_ACT_ALLOW" },
      ],
    };
    expect(between(one, other)).toEqual([]);
  });

  test("a call, a condition, a number without a name, an architecture", () => {
    expect(
      between(
        {
          ...base,
          syscalls: [...where(eq(0, 0x1_0000_0005)), { names: ["read"], action: "SCMP_ACT_ALLOW" }],
        },
        { ...base, syscalls: where(eq(0, 5)) },
      ),
    ).toEqual([
      ["read of x86_64", "ALLOW", "ERRNO 1 (EPERM)"],
      ["kill of x86_64", "args[0] == 0x5", [5n, 0n], "ERRNO 1 (EPERM)", "ALLOW"],
      ["kill of x86_64", "args[0] == 0x100000005", [0x1_0000_0005n, 0n], "ALLOW", "ERRNO 1 (EPERM)"],
    ]);
    const small: LinuxSeccomp = { ...base, syscalls: [{ names: ["write"], action: "SCMP_ACT_ALLOW" }] };
    const large: LinuxSeccomp = {
      ...base,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls: [{ names: ["write", "clone3", "futex_waitv"], action: "SCMP_ACT_ALLOW" }],
    };
    const found = between(small, large);
    expect(found).toContainEqual(["clone3 of x86_64", "ERRNO 38 (ENOSYS)", "ALLOW"]);
    expect(found).toContainEqual(["337-423 of x86_64", "ERRNO 38 (ENOSYS)", "ERRNO 1 (EPERM)"]);
    expect(found).toContainEqual(["* of i386", "not covered: KILL_THREAD", "covered by rules"]);
    expect(found).not.toContainEqual(["write of x86_64", expect.anything(), expect.anything()]);
  });

  test("conditions on several arguments are told apart", () => {
    expect(
      between({ ...base, syscalls: where(eq(0, 1), eq(1, 2)) }, { ...base, syscalls: where(eq(1, 2)) }),
    ).toEqual([["kill of x86_64", "args[1] == 0x2", [0n, 2n], "ERRNO 1 (EPERM)", "ALLOW"]]);
  });

  test("the default profile with and without a capability", () => {
    const found = between(defaultProfile([], "x86_64"), defaultProfile(["CAP_SYS_CHROOT"], "x86_64"));
    expect(found).toEqual([
      ["chroot of x86_64", "ERRNO 1 (EPERM)", "ALLOW"],
      ["chroot of i386", "ERRNO 1 (EPERM)", "ALLOW"],
    ]);
  });
});

describe("diff and the filters agree", () => {
  test.each(["x86_64", "aarch64"] as const)("for any two profiles of %s", (arch) => {
    fc.assert(
      fc.property(profiles(arch), profiles(arch), fc.nat(), (one, other, seed) => {
        const filters = [one, other].map((profile) => compile(profile, arch, kernel).filter);
        const found = diff(sourceOf(one), sourceOf(other), arch);
        const tried = [...boundaries(one), ...boundaries(other)];
        const pick = (step: number): bigint => tried[(seed + step * 7) % tried.length] ?? 0n;
        for (const [, abi] of abisOf(arch)) {
          const mine = found.filter(({ architecture }) => architecture === abi.table);
          if (mine.some(({ syscall }) => syscall === "*")) continue;
          for (const { syscall, args = [], verdicts } of mine) {
            const number = syscallNumbers(abi.table).get(syscall) ?? Number(syscall.replace(/(?<=.)-.*/, ""));
            const answers = filters.map((filter) => interpret(filter, { number, audit: abi.audit, args }));
            expect(answers.map(answerText)).toEqual([...verdicts]);
            expect(verdicts[0]).not.toBe(verdicts[1]);
          }
          for (const name of [...CALLS, "socketcall", "ipc"]) {
            const number = syscallNumbers(abi.table).get(name);
            if (number === undefined || mine.some(({ syscall }) => syscall === name)) continue;
            for (let turn = 0; turn < 8; turn++) {
              const args = [pick(turn), pick(turn + 1), pick(turn + 3)];
              const call = { number, audit: abi.audit, args };
              const [answer, against] = filters.map((filter) => interpret(filter, call));
              expect({ name, args, answer }).toEqual({ name, args, answer: against });
            }
          }
        }
      }),
      { numRuns: 60, seed: 11 },
    );
  });

  test("situations are exactly those that arguments can bring about", () => {
    const word = fc.record({
      high: fc.constantFrom(0, 1, 0xffff_ffff),
      low: fc.constantFrom(0, 1, 0x10, 0xffff_ffff),
    });
    const condition = fc
      .record({
        index: fc.integer({ min: 0, max: 1 }),
        comparison: fc.constantFrom("eq" as const, "gt" as const, "ge" as const),
        negated: fc.boolean(),
        mask: fc.constantFrom({ high: 0xffff_ffff, low: 0xffff_ffff }, { high: 0, low: 0xf0 }),
        value: word,
      })
      .map((made) => {
        const mask = made.comparison === "eq" ? made.mask : { high: 0xffff_ffff, low: 0xffff_ffff };
        const { value } = made;
        return {
          ...made,
          mask,
          value: { high: (value.high & mask.high) >>> 0, low: (value.low & mask.low) >>> 0 },
        };
      });
    const rules = fc.array(fc.record({ tests: fc.array(condition, { maxLength: 2 }) }), { maxLength: 5 });
    const argument = fc.oneof(
      fc.constantFrom(0n, 1n, 2n, 0x10n, 0x11n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0001n),
      fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
    );
    const big = ({ high, low }: Test["mask"]): bigint => BigInt(high) * 2n ** 32n + BigInt(low);
    const holds = ({ index, mask, value, comparison, negated }: Test, args: readonly bigint[]): boolean => {
      const given = (args[index] ?? 0n) & big(mask);
      const is = { eq: given === big(value), gt: given > big(value), ge: given >= big(value) }[comparison];
      return is !== negated;
    };
    const holding = (list: readonly { tests: readonly Test[] }[], args: readonly bigint[]): string =>
      list.flatMap(({ tests }, at) => (tests.every((test) => holds(test, args)) ? [at] : [])).join();
    fc.assert(
      fc.property(rules, fc.array(fc.tuple(argument, argument), { maxLength: 20 }), (list, tries) => {
        const situations = situationsOf(list);
        const known = situations.map((situation) => situation.holding.join());
        for (const { holding: claimed, args } of situations) expect(holding(list, args)).toBe(claimed.join());
        for (const args of tries) expect(known).toContain(holding(list, args));
        expect(new Set(known).size).toBe(known.length);
      }),
      { numRuns: 500, seed: 3 },
    );
  });
});
