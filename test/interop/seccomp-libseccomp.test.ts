/**
 * Our filters against libseccomp's, which runc and crun use: the same verdict on every call of every architecture.
 * Needs gcc and libseccomp-dev. Profiles here are those that libseccomp answers as documented: where rules on one
 * call mix "less than", "greater than" and upper words, its filters contradict the profile (rules.ts).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type Abi, coveredAbis } from "../../drivers/seccomp/abi.ts";
import { answerOf, NO_SUCH_CALL } from "../../drivers/seccomp/answer.ts";
import { compile } from "../../drivers/seccomp/compile.ts";
import { defaultProfile } from "../../drivers/seccomp/default-profile.ts";
import { interpret } from "../../drivers/seccomp/interpret.ts";
import { syscallNames, syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscall, SeccompOperator } from "../../src/spec/runtime/seccomp.ts";

const isHere =
  process.arch === "x64" && Bun.which("gcc") !== null && (await Bun.file("/usr/include/seccomp.h").exists());

const folder = mkdtempSync(join(tmpdir(), "seccomp-"));
const helper = join(folder, "helper");

beforeAll(() => {
  if (!isHere) return;
  const source = join(import.meta.dir, "seccomp-libseccomp.c");
  const built = Bun.spawnSync(["gcc", "-Wall", "-Werror", "-o", helper, source, "-lseccomp"]);
  expect(built.stderr.toString()).toBe("");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** seccomp.h: SCMP_ARCH_* and enum scmp_compare. */
const tokens: Record<string, number> = {
  SCMP_ARCH_X86: 0x4000_0003,
  SCMP_ARCH_X86_64: 0xc000_003e,
  SCMP_ARCH_X32: 0x4000_003e,
};
const operators: Record<SeccompOperator, number> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};

/** What runc asks of libseccomp for a profile, one line a call of its API. */
function orders({ defaultAction, defaultErrnoRet, architectures = [], syscalls = [] }: LinuxSeccomp): string {
  const byDefault = answerOf(defaultAction, defaultErrnoRet, "");
  const lines = [`default ${byDefault}`, ...architectures.map((name) => `arch ${tokens[name]}`)];
  for (const { names, action, errnoRet, args = [] } of syscalls) {
    const answer = answerOf(action, errnoRet, "");
    if (answer === byDefault) continue;
    const repeats = new Set(args.map(({ index }) => index)).size < args.length;
    for (const name of names) {
      for (const all of repeats ? args.map((arg) => [arg]) : [args]) {
        const words = all.map(
          ({ index, op, value, valueTwo = 0 }) => `${index} ${operators[op]} ${value} ${valueTwo}`,
        );
        lines.push(`rule ${answer} ${name} ${all.length} ${words.join(" ")}`);
      }
    }
  }
  return `${lines.join("\n")}\n`;
}

/** A difference between the two, for a person; undefined: none. Names too new for this libseccomp are left out. */
function difference(profile: LinuxSeccomp): object | undefined {
  const made = Bun.spawnSync([helper], { stdin: Buffer.from(orders(profile)) });
  if (made.exitCode !== 0) return { libseccomp: `refuses with ${made.exitCode}` };
  const tooNew = made.stderr.toString().split("\n");
  const theirs = new Uint8Array(made.stdout);
  const ours = compile(profile, "x86_64", [6, 1]).filter;
  const values = new Set([0n, 0xffff_ffff_ffff_ffffn]);
  for (let subcall = 1n; subcall <= 24n; subcall++) values.add(subcall);
  for (const { value, valueTwo = 0 } of (profile.syscalls ?? []).flatMap(({ args = [] }) => args)) {
    for (const at of [BigInt(value), BigInt(valueTwo)]) {
      for (const step of [-1n, 0n, 1n, 1n << 32n, -(1n << 32n)]) values.add(BigInt.asUintN(64, at + step));
    }
  }
  const tried = [...values];
  for (const abi of coveredAbis("x86_64", profile.architectures ?? [])) {
    const looked = lookedInto(profile, abi);
    const { newest, numbers } = numbersOf(profile, abi, tooNew);
    for (const number of numbers) {
      for (const pick of looked.has(number) ? tried.keys() : [0]) {
        for (const step of [0, 1, 5]) {
          const args = Array.from(
            { length: 6 },
            (_, index) => tried[(pick + index * step) % tried.length] ?? 0n,
          );
          // The kernel shows a filter no upper words on i386.
          const given = abi.table === "i386" ? args.map((arg) => BigInt.asUintN(32, arg)) : args;
          const call = { number, audit: abi.audit, args: given };
          const libseccomp = number > newest ? NO_SUCH_CALL : interpret(theirs, call);
          const answer = interpret(ours, call);
          if (answer !== libseccomp)
            return { ...call, name: syscallNames(abi.table).get(number), answer, libseccomp };
        }
      }
    }
  }
  return undefined;
}

function lookedInto({ syscalls = [] }: LinuxSeccomp, { table }: Abi): Set<number | undefined> {
  const names = syscalls.filter(({ args = [] }) => args.length > 0).flatMap((rule) => rule.names);
  return new Set([...names, "socketcall", "ipc"].map((name) => syscallNumbers(table).get(name)));
}

/** The numbers to try, and above which one runc puts ENOSYS before libseccomp's filter. */
function numbersOf(profile: LinuxSeccomp, { table }: Abi, tooNew: string[]) {
  const known = syscallNumbers(table);
  const named = (profile.syscalls ?? []).flatMap(({ names }) => names).map((name) => known.get(name) ?? 0);
  const isPermissive = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].includes(profile.defaultAction);
  const skipped = new Set(tooNew.map((name) => known.get(name)));
  const base = table === "x32" ? 0x4000_0000 : 0;
  const all = new Set([...known.values(), ...Array.from({ length: 600 }, (_, index) => base + index)]);
  return {
    newest: isPermissive || named.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...named),
    numbers: [...all].filter((number) => !skipped.has(number)),
  };
}

describe.skipIf(!isHere)("the same verdicts as libseccomp's filter", () => {
  const everywhere: LinuxSeccomp["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];

  test.each([[[]], [["CAP_SYS_ADMIN"]], [["CAP_SYS_PTRACE", "CAP_SYS_TIME"]]])(
    "our default with %j",
    (caps) => {
      const profile = defaultProfile(caps, "x86_64");
      expect(difference(profile)).toBeUndefined();
      expect(difference({ ...profile, architectures: everywhere })).toBeUndefined();
      expect(difference({ ...profile, architectures: [] })).toBeUndefined();
    },
  );

  test.each(Object.keys(operators) as SeccompOperator[])("%s on every argument", (op) => {
    for (const value of [0n, 5n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0005n, 0xffff_ffff_ffff_fffen]) {
      const syscalls = ["lseek", "fcntl", "ioctl", "dup3", "kill", "tgkill"].map(
        (name, index): LinuxSyscall => ({
          names: [name],
          action: "SCMP_ACT_ERRNO",
          args: [{ index, op, value, valueTwo: 0x1_0000_0004n }],
        }),
      );
      expect(
        difference({ defaultAction: "SCMP_ACT_LOG", architectures: everywhere, syscalls }),
      ).toBeUndefined();
    }
  });

  test("i386's socketcall and ipc", () => {
    const syscalls: LinuxSyscall[] = [
      {
        names: ["socket", "bind", "accept", "accept4", "recvmmsg", "sendmmsg", "send"],
        action: "SCMP_ACT_ALLOW",
      },
      { names: ["semop", "semctl", "semtimedop", "shmget", "msgctl"], action: "SCMP_ACT_TRAP" },
      {
        names: ["connect", "msgget"],
        action: "SCMP_ACT_KILL_PROCESS",
        args: [
          { index: 0, op: "SCMP_CMP_EQ", value: 7 },
          { index: 1, op: "SCMP_CMP_EQ", value: 7 },
        ],
      },
    ];
    expect(
      difference({ defaultAction: "SCMP_ACT_LOG", architectures: everywhere, syscalls }),
    ).toBeUndefined();
  });

  test("an argument that is named twice", () => {
    const args = [1, 2, 0x1_0000_0001].map((value) => ({ index: 0, op: "SCMP_CMP_EQ" as const, value }));
    const syscalls: LinuxSyscall[] = [{ names: ["kill"], action: "SCMP_ACT_ALLOW", args }];
    expect(difference({ defaultAction: "SCMP_ACT_TRAP", syscalls })).toBeUndefined();
  });

  test("several rules with two actions on one call", () => {
    const value = fc.oneof(
      fc.constantFrom(0n, 1n, 5n, 0x1_0000_0000n, 0x1_0000_0005n),
      fc.bigInt(0n, 2n ** 64n - 1n),
    );
    const arg = fc.record({
      index: fc.integer({ min: 0, max: 2 }),
      op: fc.constantFrom<SeccompOperator>("SCMP_CMP_EQ", "SCMP_CMP_GE"),
      value,
    });
    const syscalls = fc.array(
      fc.record({
        names: fc.constant<string[]>(["kill"]),
        action: fc.constantFrom<LinuxSyscall["action"]>("SCMP_ACT_ALLOW", "SCMP_ACT_TRAP"),
        args: arg.map((one) => [one]),
      }),
      { minLength: 1, maxLength: 4 },
    );
    // Both refuse the same args with two actions.
    const isClear = (rules: LinuxSyscall[]): boolean =>
      new Set(rules.map(({ args = [] }) => Bun.inspect(args))).size === rules.length;
    fc.assert(
      fc.property(syscalls.filter(isClear), (rules) => {
        expect(difference({ defaultAction: "SCMP_ACT_LOG", syscalls: rules })).toBeUndefined();
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  test("the same args with two actions are refused by both", () => {
    const args = [{ index: 0, op: "SCMP_CMP_EQ" as const, value: 1 }];
    const profile: LinuxSeccomp = {
      defaultAction: "SCMP_ACT_LOG",
      syscalls: [
        { names: ["kill"], action: "SCMP_ACT_ALLOW", args },
        { names: ["kill"], action: "SCMP_ACT_TRAP", args },
      ],
    };
    expect(difference(profile)).toEqual({ libseccomp: "refuses with 2" });
    expect(() => compile(profile, "x86_64", [6, 1])).toThrow("another action");
  });
});
