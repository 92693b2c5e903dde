/** What of a profile ended a process, and whether the change that is proposed allows the call. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { abisOf } from "../../../drivers/seccomp/abi.ts";
import { causeOf, findCause, type Remedy } from "../../../drivers/seccomp/cause.ts";
import { compile } from "../../../drivers/seccomp/compile.ts";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import {
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_TRAP,
} from "../../../src/kernel/seccomp.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscall } from "../../../src/spec/runtime/seccomp.ts";

const MKDIR = 83;
const killed = { number: MKDIR, audit: AUDIT_ARCH_X86_64, answer: SECCOMP_RET_KILL_PROCESS };
const is = (value: number) => [{ index: 0, value, op: "SCMP_CMP_EQ" as const }];
const kill = (...names: string[]): LinuxSyscall => ({ names, action: "SCMP_ACT_KILL_PROCESS" });

test("a rule under a default that allows: the name has to go, from all that would kill", () => {
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [kill("rmdir"), kill("mkdir", "rmdir"), { ...kill("mkdir"), args: is(1) }],
  };
  expect(causeOf(profile, "x86_64", killed)).toEqual({
    call: "mkdir",
    action: "SCMP_ACT_KILL_PROCESS",
    fields: ["linux.seccomp.syscalls[1]"],
    remedy: "take mkdir out of linux.seccomp.syscalls[1] and linux.seccomp.syscalls[2]",
  });
});

test("the default: a rule more", () => {
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_KILL_PROCESS",
    syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ALLOW", args: is(5) }],
  };
  expect(causeOf(profile, "x86_64", killed)).toMatchObject({
    fields: ["linux.seccomp.defaultAction"],
    remedy: 'add {"names":["mkdir"],"action":"SCMP_ACT_ALLOW"} to linux.seccomp.syscalls',
  });
});

test("a rule under a default that refuses: one before it", () => {
  const profile: LinuxSeccomp = { defaultAction: "SCMP_ACT_ERRNO", syscalls: [kill("rmdir"), kill("mkdir")] };
  expect(causeOf(profile, "x86_64", killed)).toMatchObject({
    fields: ["linux.seccomp.syscalls[1]"],
    remedy: 'add {"names":["mkdir"],"action":"SCMP_ACT_ALLOW"} before linux.seccomp.syscalls[1]',
  });
});

test("arguments are not in the log: all that may have done it", () => {
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [
      { ...kill("mkdir"), args: is(1) },
      { ...kill("mkdir"), args: is(2) },
      { names: ["mkdir"], action: "SCMP_ACT_TRAP", args: is(3) },
    ],
  };
  expect(causeOf(profile, "x86_64", killed).fields).toEqual([
    "linux.seccomp.syscalls[1]",
    "linux.seccomp.syscalls[0]",
  ]);
  expect(causeOf(profile, "x86_64", { ...killed, answer: SECCOMP_RET_TRAP }).fields).toEqual([
    "linux.seccomp.syscalls[2]",
  ]);
});

test("an architecture that is not covered, x32 among them", () => {
  const profile: LinuxSeccomp = { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"] };
  const answer = SECCOMP_RET_KILL_THREAD;
  expect(causeOf(profile, "x86_64", { number: 39, audit: AUDIT_ARCH_I386, answer })).toEqual({
    call: "mkdir of i386",
    action: "SCMP_ACT_KILL_THREAD",
    fields: ["linux.seccomp.architectures"],
    remedy: "add SCMP_ARCH_X86 to linux.seccomp.architectures",
  });
  expect(
    causeOf(profile, "x86_64", { number: 0x4000_0000 + MKDIR, audit: AUDIT_ARCH_X86_64, answer }),
  ).toMatchObject({
    call: "mkdir of x32",
    remedy: "add SCMP_ARCH_X32 to linux.seccomp.architectures",
  });
  expect(causeOf(profile, "aarch64", { number: 39, audit: AUDIT_ARCH_ARM, answer })).toMatchObject({
    call: "mkdir of arm",
    remedy: "add SCMP_ARCH_ARM to linux.seccomp.architectures",
  });
  expect(causeOf(profile, "x86_64", { number: 39, audit: 0x16, answer })).toMatchObject({
    call: "system call 39 of architecture 0x16",
    remedy: undefined,
  });
});

test("i386's calls behind another", () => {
  const SOCKETCALL = 102;
  const event = { number: SOCKETCALL, audit: AUDIT_ARCH_I386, answer: SECCOMP_RET_KILL_PROCESS };
  const profile: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86"],
    syscalls: [kill("socket", "mkdir", "bind")],
  };
  expect(causeOf(profile, "x86_64", event)).toMatchObject({
    call: "socketcall of i386",
    fields: ["linux.seccomp.syscalls[0]"],
    remedy: "take socket, bind out of linux.seccomp.syscalls[0]",
  });
});

test("a filter that is not the profile's", () => {
  const profile: LinuxSeccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [kill("rmdir")] };
  expect(causeOf(profile, "x86_64", killed).fields).toEqual([]);
  const refusing: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ALLOW" }],
  };
  expect(causeOf(refusing, "x86_64", killed)).toMatchObject({ fields: [], remedy: undefined });
});

test("a number without a name cannot be allowed by one", () => {
  const profile: LinuxSeccomp = { defaultAction: "SCMP_ACT_KILL_PROCESS", syscalls: [kill("openat2")] };
  expect(causeOf(profile, "x86_64", { ...killed, number: 400 })).toMatchObject({
    call: "system call 400",
    fields: ["linux.seccomp.defaultAction"],
    remedy: undefined,
  });
});

describe("the remedy", () => {
  const apply = (profile: LinuxSeccomp, remedy: Remedy): LinuxSeccomp => {
    const { architectures = [], syscalls = [] } = profile;
    if (remedy.do === "cover") return { ...profile, architectures: [...architectures, remedy.architecture] };
    if (remedy.do === "add") {
      return { ...profile, syscalls: syscalls.toSpliced(remedy.before ?? syscalls.length, 0, remedy.rule) };
    }
    const { from, names } = remedy;
    const left = syscalls.map((entry, index) =>
      from.includes(index) ? { ...entry, names: entry.names.filter((name) => !names.includes(name)) } : entry,
    );
    return { ...profile, syscalls: left.filter((entry) => entry.names.length > 0) };
  };

  const names = ["mkdir", "kill", "socket", "bind", "semop", "getppid"];
  const actions = [
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
  ] as const;
  const syscall = fc.record({
    names: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }),
    action: fc.constantFrom(...actions),
    args: fc.option(
      fc
        .integer({ min: 0, max: 2 })
        .chain((index) =>
          fc.constantFrom(1, 7).map((value) => [{ index, value, op: "SCMP_CMP_EQ" as const }]),
        ),
      { nil: undefined },
    ),
  });
  const profiles = fc.record({
    defaultAction: fc.constantFrom(...actions),
    architectures: fc.subarray(["SCMP_ARCH_X86", "SCMP_ARCH_X32"] as const).map((list) => [...list]),
    syscalls: fc.array(syscall, { maxLength: 5 }),
  });
  const deadly: number[] = [SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP];
  const argsOf = fc.array(fc.constantFrom(0n, 1n, 2n, 7n), { minLength: 3, maxLength: 3 });

  test("of any death is there, names what did it, and ends that", () => {
    let deaths = 0;
    fc.assert(
      fc.property(
        profiles,
        fc.constantFrom(...abisOf("x86_64")),
        fc.constantFrom(...names),
        argsOf,
        (...one) => {
          const [profile, [, abi], name, args] = one;
          const number = syscallNumbers(abi.table).get(name);
          if (number === undefined) return;
          const call = { number, audit: abi.audit, args };
          const verdict = (of: LinuxSeccomp): number =>
            (interpret(compile(of, "x86_64", [6, 1]).filter, call) & SECCOMP_RET_ACTION_FULL) >>> 0;
          // Not where two actions are asked for with the same call and args, be it on an architecture that is not covered.
          try {
            compile({ ...profile, architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] }, "x86_64", [6, 1]);
          } catch {
            return;
          }
          const answer = verdict(profile);
          if (!deadly.includes(answer)) return;
          deaths++;
          const { fields, remedy } = findCause(profile, "x86_64", { ...call, answer });
          expect(fields.length).toBeGreaterThan(0);
          expect(remedy).toBeDefined();
          if (remedy === undefined) return;
          const after = verdict(apply(profile, remedy));
          if (remedy.do === "add") expect(after).toBe(SECCOMP_RET_ALLOW);
          // Where more architectures are covered, what they forbid is still forbidden.
          else if (remedy.do === "remove") expect(after).not.toBe(answer);
          else
            expect(findCause(apply(profile, remedy), "x86_64", { ...call, answer }).fields).not.toEqual(
              fields,
            );
        },
      ),
      { numRuns: 4000, seed: 31 },
    );
    expect(deaths).toBeGreaterThan(500);
  });
});
