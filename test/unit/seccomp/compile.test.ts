import { describe, expect, test } from "bun:test";
import { nativeAbi } from "../../../drivers/seccomp/abi.ts";
import { compile } from "../../../drivers/seccomp/compile.ts";
import { seccompDriver } from "../../../drivers/seccomp/driver.ts";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import type { Host } from "../../../src/driver.ts";
import { CtrError } from "../../../src/error.ts";
import {
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
  X32_SYSCALL_BIT,
} from "../../../src/kernel/seccomp.ts";
import type {
  LinuxSeccomp,
  LinuxSyscall,
  SeccompAction,
  SeccompArchitecture,
} from "../../../src/spec/runtime/seccomp.ts";
import { expected } from "../../support/seccomp/meaning.ts";

const kernel = [6, 1] as const;
const EPERM = SECCOMP_RET_ERRNO | 1;
const ENOSYS = SECCOMP_RET_ERRNO | 38;

function x86(syscalls: LinuxSyscall[], more: Partial<LinuxSeccomp> = {}) {
  const program = compile({ defaultAction: "SCMP_ACT_LOG", syscalls, ...more }, "x86_64", kernel);
  return (name: string, ...args: bigint[]) => seccompDriver.verdict(program, "x86_64", name, args);
}

function refused(make: () => unknown): CtrError {
  try {
    make();
  } catch (thrown) {
    if (thrown instanceof CtrError) return thrown;
  }
  throw new Error("was not refused");
}

describe("actions", () => {
  test.each<[SeccompAction, number]>([
    ["SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD],
    ["SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD],
    ["SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS],
    ["SCMP_ACT_TRAP", SECCOMP_RET_TRAP],
    ["SCMP_ACT_ERRNO", EPERM],
    ["SCMP_ACT_TRACE", SECCOMP_RET_TRACE | 1],
    ["SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW],
    ["SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF],
  ])("%s", (action, answer) => {
    expect(x86([{ names: ["kill"], action }])("kill")).toBe(answer);
  });

  test("an errno of the rule's own, and of the default's", () => {
    const verdict = x86([{ names: ["kill"], action: "SCMP_ACT_ERRNO", errnoRet: 22 }], {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 13,
    });
    expect([verdict("kill"), verdict("read")]).toEqual([SECCOMP_RET_ERRNO | 22, SECCOMP_RET_ERRNO | 13]);
  });

  test("an errno where the action takes none is refused, with its place", () => {
    const error = refused(() => x86([{ names: ["kill"], action: "SCMP_ACT_KILL", errnoRet: 1 }]));
    expect([error.code, error.field]).toEqual(["SECCOMP", "linux.seccomp.syscalls[0].errnoRet"]);
    const byDefault = refused(() => x86([], { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 }));
    expect(byDefault.field).toBe("linux.seccomp.defaultErrnoRet");
  });

  test("a number that is no errno is refused, and passed on to a tracer", () => {
    const kill = (action: SeccompAction, errnoRet: number): LinuxSyscall[] => [
      { names: ["kill"], action, errnoRet },
    ];
    expect(x86(kill("SCMP_ACT_ERRNO", 4094))("kill")).toBe(SECCOMP_RET_ERRNO | 4094);
    expect(x86(kill("SCMP_ACT_TRACE", 65535))("kill")).toBe(SECCOMP_RET_TRACE | 65535);
    const error = refused(() => x86(kill("SCMP_ACT_ERRNO", 4095)));
    expect([error.code, error.field]).toEqual(["SECCOMP", "linux.seccomp.syscalls[0].errnoRet"]);
    const byDefault = refused(() => x86([], { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 65535 }));
    expect(byDefault.field).toBe("linux.seccomp.defaultErrnoRet");
  });

  test("a default of NOTIFY asks about calls that are newer than the profile too", () => {
    const verdict = x86([{ names: ["kill"], action: "SCMP_ACT_ALLOW" }], {
      defaultAction: "SCMP_ACT_NOTIFY",
    });
    expect([verdict("kill"), verdict("read"), verdict("openat2")]).toEqual([
      SECCOMP_RET_ALLOW,
      SECCOMP_RET_USER_NOTIF,
      SECCOMP_RET_USER_NOTIF,
    ]);
    const { notify, flags } = compile({ defaultAction: "SCMP_ACT_NOTIFY" }, "x86_64", kernel);
    expect([notify, flags]).toEqual([["every other call"], 12]);
  });
});

describe("several rules on one call", () => {
  const allow: LinuxSyscall = { names: ["kill"], action: "SCMP_ACT_ALLOW" };
  const trap: LinuxSyscall = { names: ["kill"], action: "SCMP_ACT_TRAP" };
  const is = (index: number, value: number) => [{ index, value, op: "SCMP_CMP_EQ" as const }];

  test("one without args beats those with, wherever it stands", () => {
    expect(x86([{ ...trap, args: is(0, 1) }, allow])("kill", 1n)).toBe(SECCOMP_RET_ALLOW);
    expect(x86([allow, { ...trap, args: is(0, 1) }])("kill", 1n)).toBe(SECCOMP_RET_ALLOW);
  });

  test("of those without args the first one counts", () => {
    expect(x86([trap, allow])("kill")).toBe(SECCOMP_RET_TRAP);
  });

  test("one that repeats the default says nothing", () => {
    const log: LinuxSyscall = { names: ["kill"], action: "SCMP_ACT_LOG" };
    expect(x86([log, trap])("kill")).toBe(SECCOMP_RET_TRAP);
  });

  test("of those with args the later argument is asked first, then the larger value", () => {
    const both = x86([
      { ...allow, args: is(0, 1) },
      { ...trap, args: is(1, 1) },
    ]);
    expect(both("kill", 1n, 1n)).toBe(SECCOMP_RET_TRAP);
    expect(both("kill", 1n, 0n)).toBe(SECCOMP_RET_ALLOW);
    const above = (value: number) => [{ index: 0, value, op: "SCMP_CMP_GT" as const }];
    const steps = x86([
      { ...allow, args: above(1) },
      { ...trap, args: above(8) },
    ]);
    expect([1n, 2n, 9n].map((arg) => steps("kill", arg))).toEqual([
      SECCOMP_RET_LOG,
      SECCOMP_RET_ALLOW,
      SECCOMP_RET_TRAP,
    ]);
  });

  test("two actions for the same args are refused", () => {
    const error = refused(() =>
      x86([
        { ...allow, args: is(0, 1) },
        { ...trap, args: is(0, 1) },
      ]),
    );
    expect(error.field).toBe("linux.seccomp.syscalls[1]");
    expect(error.message).toContain("linux.seccomp.syscalls[0]");
  });

  test("an argument named twice in one rule makes alternatives of all its args", () => {
    const verdict = x86([{ ...trap, args: [...is(0, 1), ...is(0, 2), ...is(1, 9)] }]);
    expect([verdict("kill", 1n), verdict("kill", 2n), verdict("kill", 0n, 9n), verdict("kill", 3n)]).toEqual([
      SECCOMP_RET_TRAP,
      SECCOMP_RET_TRAP,
      SECCOMP_RET_TRAP,
      SECCOMP_RET_LOG,
    ]);
  });
});

describe("calls newer than the profile", () => {
  const rules: LinuxSyscall[] = [{ names: ["openat2", "no_such_call"], action: "SCMP_ACT_ALLOW" }];
  const architectures: SeccompArchitecture[] = ["SCMP_ARCH_X86_64"];

  test("get ENOSYS where the default refuses", () => {
    const verdict = x86(rules, { defaultAction: "SCMP_ACT_KILL", architectures });
    expect([verdict("openat2"), verdict("pidfd_open"), verdict("pidfd_getfd"), verdict("mseal")]).toEqual([
      SECCOMP_RET_ALLOW,
      SECCOMP_RET_KILL_THREAD,
      ENOSYS,
      ENOSYS,
    ]);
  });

  test("get the default where the profile does not list the architecture, as in runc", () => {
    expect(x86(rules, { defaultAction: "SCMP_ACT_KILL" })("mseal")).toBe(SECCOMP_RET_KILL_THREAD);
  });

  test("get the default where that lets through", () => {
    expect(x86(rules, { defaultAction: "SCMP_ACT_TRACE", architectures })("mseal")).toBe(
      SECCOMP_RET_TRACE | 1,
    );
  });

  test("get the default where the profile names nothing", () => {
    expect(x86([], { defaultAction: "SCMP_ACT_ERRNO", architectures })("mseal")).toBe(EPERM);
  });

  test("are told by the profile's largest name even if its rule says nothing", () => {
    const verdict = x86([{ names: ["mseal"], action: "SCMP_ACT_ERRNO" }], {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures,
    });
    expect([verdict("openat2"), verdict("setxattrat")]).toEqual([EPERM, ENOSYS]);
  });

  test("are told apart by architecture, and not by ARM's private calls", () => {
    const given: LinuxSeccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_ARM"],
      syscalls: [{ names: ["set_tls", "waitid"], action: "SCMP_ACT_ALLOW" }],
    };
    const { filter } = compile(given, "aarch64", kernel);
    const arm = (number: number) => interpret(filter, { number, audit: AUDIT_ARCH_ARM });
    expect([280, 279, 281, 0xf_0004, 0xf_0005, 0xf_0006].map(arm)).toEqual([
      SECCOMP_RET_ALLOW,
      EPERM,
      ENOSYS,
      EPERM,
      SECCOMP_RET_ALLOW,
      EPERM,
    ]);
  });
});

describe("architectures", () => {
  const rules: LinuxSyscall[] = [{ names: ["getpid"], action: "SCMP_ACT_TRAP" }];
  const at = (filter: Uint8Array, audit: number, number: number) => interpret(filter, { audit, number });

  test("the host's own is always covered, another one only if listed; its calls kill the thread", () => {
    const alone = compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls: rules }, "x86_64", kernel);
    expect(at(alone.filter, AUDIT_ARCH_X86_64, 39)).toBe(SECCOMP_RET_TRAP);
    expect(at(alone.filter, AUDIT_ARCH_I386, 20)).toBe(SECCOMP_RET_KILL_THREAD);
    const listed = compile(
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: rules, architectures: ["SCMP_ARCH_X86"] },
      "x86_64",
      kernel,
    );
    expect(at(listed.filter, AUDIT_ARCH_X86_64, 39)).toBe(SECCOMP_RET_TRAP);
    expect(at(listed.filter, AUDIT_ARCH_I386, 20)).toBe(SECCOMP_RET_TRAP);
    expect(at(listed.filter, AUDIT_ARCH_I386, 39)).toBe(SECCOMP_RET_ALLOW);
  });

  test("x32's calls are told by their bit; -1, which tracers write, never kills", () => {
    const closed = compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls: rules }, "x86_64", kernel);
    expect(at(closed.filter, AUDIT_ARCH_X86_64, X32_SYSCALL_BIT + 39)).toBe(SECCOMP_RET_KILL_THREAD);
    expect(at(closed.filter, AUDIT_ARCH_X86_64, 0xffff_ffff)).toBe(SECCOMP_RET_ALLOW);
    const open = compile(
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: rules, architectures: ["SCMP_ARCH_X32"] },
      "x86_64",
      kernel,
    );
    expect(at(open.filter, AUDIT_ARCH_X86_64, X32_SYSCALL_BIT + 39)).toBe(SECCOMP_RET_TRAP);
  });

  test("names that none of them knows are told, those of one are not", () => {
    const syscalls: LinuxSyscall[] = [
      { names: ["waitpid", "swapcontext", "getpid"], action: "SCMP_ACT_TRAP" },
      { names: ["swapcontext"], action: "SCMP_ACT_ALLOW" },
    ];
    const unknown = (architectures: SeccompArchitecture[]) =>
      compile({ defaultAction: "SCMP_ACT_ALLOW", architectures, syscalls }, "x86_64", kernel).unknown;
    expect(unknown([])).toEqual(["waitpid", "swapcontext"]);
    expect(unknown(["SCMP_ARCH_X86"])).toEqual(["swapcontext"]);
  });
});

describe("the program", () => {
  test("has jumps longer than 255 instructions", () => {
    const alternatives = Array.from({ length: 200 }, (_, value) => ({
      index: 5,
      value: value * 2,
      op: "SCMP_CMP_EQ" as const,
    }));
    const verdict = x86([
      { names: ["read", "kill", "mseal"], action: "SCMP_ACT_TRAP", args: alternatives },
      { names: ["write"], action: "SCMP_ACT_ALLOW" },
    ]);
    const with5 = (name: string, value: bigint) => verdict(name, 0n, 0n, 0n, 0n, 0n, value);
    expect(["read", "kill", "mseal"].map((name) => with5(name, 398n))).toEqual(
      Array(3).fill(SECCOMP_RET_TRAP),
    );
    expect(["read", "kill", "mseal"].map((name) => with5(name, 397n))).toEqual(
      Array(3).fill(SECCOMP_RET_LOG),
    );
    expect(with5("write", 0n)).toBe(SECCOMP_RET_ALLOW);
  });

  /** Rules of which each takes questions of its own: two arguments, the first one not an equality. */
  const many = (count: number): LinuxSyscall[] =>
    Array.from({ length: count }, (_, value) => ({
      names: ["kill"],
      action: "SCMP_ACT_TRAP",
      args: [
        { index: 0, value: 2 ** 40 + value, op: "SCMP_CMP_MASKED_EQ", valueTwo: value },
        { index: 1, value: value * 2, op: "SCMP_CMP_EQ" },
      ],
    }));

  test("is refused above 4096 instructions", () => {
    const error = refused(() => x86(many(1000)));
    expect(error.code).toBe("SECCOMP");
    expect(error.message).toContain("4096");
  });

  test("may have nearly as many, and then still means what it says", () => {
    const rules = many(400);
    const profile: LinuxSeccomp = { defaultAction: "SCMP_ACT_LOG", syscalls: rules };
    const { filter } = compile(profile, "x86_64", kernel);
    expect(filter.length / 8).toBeGreaterThan(3500);
    for (const value of [0, 1, 2, 199, 200, 398, 399]) {
      for (const step of [0, 1]) {
        const args = [BigInt(value), BigInt(value * 2 + step)];
        const answer = interpret(filter, { number: 62, audit: AUDIT_ARCH_X86_64, args });
        expect([value, step, answer]).toEqual([
          value,
          step,
          expected(profile, nativeAbi("x86_64"), 62, args),
        ]);
      }
    }
  });

  test("asks an argument that many values are compared with by a tree, however many rules that is", () => {
    const args = Array.from({ length: 1500 }, (_, value) => ({
      index: 0,
      value: value * 3,
      op: "SCMP_CMP_EQ" as const,
    }));
    const verdict = x86([{ names: ["kill"], action: "SCMP_ACT_TRAP", args }]);
    expect([0n, 3n, 4497n, 4n, 4500n, 1n << 32n].map((value) => verdict("kill", value))).toEqual([
      ...Array(3).fill(SECCOMP_RET_TRAP),
      ...Array(3).fill(SECCOMP_RET_LOG),
    ]);
  });

  test("is the same each time", () => {
    const given = seccompDriver.defaultProfile([], "x86_64");
    expect(compile(given, "x86_64", kernel).filter).toEqual(compile(given, "x86_64", kernel).filter);
  });
});

describe("flags and listeners", () => {
  const notify: LinuxSyscall[] = [{ names: ["mknod", "no_such_call"], action: "SCMP_ACT_NOTIFY" }];
  const flagsOf = (
    flags: LinuxSeccomp["flags"],
    syscalls: LinuxSyscall[] = [],
    at: Host["kernelVersion"] = kernel,
  ) => compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls, ...(flags && { flags }) }, "x86_64", at).flags;

  test("SPEC_ALLOW where the profile says nothing, none where it says none", () => {
    expect([flagsOf(undefined), flagsOf([])]).toEqual([4, 0]);
  });

  test("as given", () => {
    expect(flagsOf(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"])).toBe(3);
  });

  test("a rule that notifies asks for a listener and is named", () => {
    const program = compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls: notify }, "x86_64", kernel);
    expect([program.flags, program.notify, program.unknown]).toEqual([12, ["mknod"], ["no_such_call"]]);
  });

  test("a listener does without TSYNC: the thread that hands it over must not be bound", () => {
    expect(flagsOf(["SECCOMP_FILTER_FLAG_TSYNC"], notify)).toBe(8);
  });

  test("WAIT_KILLABLE_RECV counts with a listener only, and needs Linux 5.19", () => {
    const wait = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" as const];
    expect([flagsOf(wait), flagsOf(wait, notify)]).toEqual([0, 8 | 32]);
    expect(refused(() => flagsOf(wait, notify, [5, 18])).field).toBe("linux.seccomp.flags");
  });
});

test("a verdict on a call that the architecture lacks is refused", () => {
  expect(refused(() => x86([])("waitpid")).message).toContain("waitpid");
});
