import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { abisOf, nativeAbi } from "../../../drivers/seccomp/abi.ts";
import { compile } from "../../../drivers/seccomp/compile.ts";
import { defaultProfile } from "../../../drivers/seccomp/default-profile.ts";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import { record } from "../../../drivers/seccomp/record.ts";
import {
  AUDIT_ARCH_I386,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_USER_NOTIF,
} from "../../../src/kernel/seccomp.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp } from "../../../src/spec/runtime/seccomp.ts";
import { boundaries } from "../../support/seccomp/meaning.ts";
import { CALLS, kernel, profiles } from "./profiles.ts";

/** Records calls of x86-64, or of i386 where the name says so: `i386:socketcall`. */
function recorded(base: LinuxSeccomp | undefined, ...calls: [name: string, ...args: bigint[]][]) {
  const recorder = record(base, "x86_64", kernel);
  const answers = calls.map(([text, ...args]) => {
    const [table, name] = text.includes(":") ? text.split(":") : ["x86_64", text];
    const audit = table === "i386" ? AUDIT_ARCH_I386 : nativeAbi("x86_64").audit;
    const number = syscallNumbers(table === "i386" ? "i386" : "x86_64").get(name ?? "") ?? Number(name);
    return recorder.answer({ number, audit, args });
  });
  return { answers, ...recorder.result() };
}

describe("a record", () => {
  test("is one sorted rule, without a profile to begin with", () => {
    expect(recorded(undefined, ["write"], ["exit_group"], ["read"], ["read"])).toEqual({
      answers: ["continue", "continue", "continue", "continue"],
      profile: {
        defaultAction: "SCMP_ACT_ERRNO",
        defaultErrnoRet: 1,
        architectures: ["SCMP_ARCH_X86_64"],
        syscalls: [{ names: ["exit_group", "read", "write"], action: "SCMP_ACT_ALLOW" }],
      },
      notes: [],
    });
  });

  test("names the architectures of the calls, and what socketcall and ipc did", () => {
    const { profile } = recorded(
      undefined,
      ["read"],
      ["i386:waitpid"],
      ["i386:socketcall", 2n],
      ["i386:socketcall", 99n],
      ["i386:ipc", 0x1_0017n],
    );
    expect(profile.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    expect(profile.syscalls).toEqual([
      { names: ["bind", "read", "shmget", "socketcall", "waitpid"], action: "SCMP_ACT_ALLOW" },
    ]);
  });

  test("answers as the profile does, and allows no more than it", () => {
    const base = defaultProfile([], "x86_64");
    const { answers, profile, notes } = recorded(
      base,
      ["read"],
      ["mount"],
      ["clone3"],
      ["clone", 17n],
      ["personality", 8n],
      ["io_uring_setup"],
      ["exit_group"],
    );
    const [refused, missing] = [{ errno: 1 }, { errno: 38 }];
    expect(answers).toEqual(["continue", refused, missing, "continue", "continue", refused, "continue"]);
    expect(notes).toEqual([]);
    const [plain, ...rest] = profile.syscalls ?? [];
    expect(plain).toEqual({ names: ["exit_group", "read"], action: "SCMP_ACT_ALLOW" });
    // The conditions of two calls stay. io_uring_setup would be newer than the profile if it were not named; clone3,
    // which programs fall back from on ENOSYS, still is.
    const named = new Set(rest.flatMap(({ names }) => names));
    expect([...named].sort()).toEqual(["clone", "io_uring_setup", "personality"]);
    expect(rest.filter(({ args }) => args === undefined)).toEqual([
      { names: ["io_uring_setup"], action: "SCMP_ACT_ERRNO", errnoRet: 1 },
    ]);
  });

  test("allows all arguments where the profile refuses some by name, and says so", () => {
    const { profile, notes } = recorded(
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [
          { names: ["kill"], action: "SCMP_ACT_ERRNO", args: [{ index: 1, op: "SCMP_CMP_EQ", value: 9 }] },
        ],
      },
      ["kill", 1n, 15n],
    );
    expect(profile.syscalls).toEqual([{ names: ["kill"], action: "SCMP_ACT_ALLOW" }]);
    expect(notes).toEqual(["kill: is allowed with all arguments, and some got ERRNO 1 (EPERM)"]);
  });

  test("says what has no name", () => {
    expect(recorded(undefined, ["5000"]).notes).toEqual([
      "x86_64's call 5000 has no name, and no profile can allow it",
    ]);
  });

  test("counts what the container's init needs as well", () => {
    const recorder = record(undefined, "x86_64", kernel);
    recorder.need(["execve", "fork_of_nobody"]);
    expect(recorder.result().profile.syscalls).toEqual([{ names: ["execve"], action: "SCMP_ACT_ALLOW" }]);
  });

  test("cannot be made under a profile with an agent of its own", () => {
    const base: LinuxSeccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }],
    };
    expect(() => record(base, "x86_64", kernel)).toThrow("it has an agent asked about mount");
  });

  test("asks about every call, but what kills stays; a signal does not end the question", () => {
    const { program } = record(defaultProfile([], "x86_64"), "x86_64", kernel);
    const ask = (number: number, audit: number) => interpret(program.filter, { number, audit });
    for (const number of [0, 165, 500, 5000]) {
      expect(ask(number, nativeAbi("x86_64").audit)).toBe(SECCOMP_RET_USER_NOTIF);
      expect(ask(number, AUDIT_ARCH_I386)).toBe(SECCOMP_RET_USER_NOTIF);
    }
    expect(ask(0x4000_0000, nativeAbi("x86_64").audit)).toBe(0);
    expect(program.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER).not.toBe(0);
    expect(program.flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).not.toBe(0);
    const old = record(undefined, "x86_64", [5, 14]);
    expect(old.program.flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).toBe(0);
  });
});

test.each(["x86_64", "aarch64"] as const)(
  "the record of a run under any profile of %s gives the run the same answers",
  (arch) => {
    fc.assert(
      fc.property(profiles(arch), fc.nat(), (base, seed) => {
        const { filter } = compile(base, arch, kernel);
        const recorder = record(base, arch, kernel);
        const tried = boundaries(base);
        const pick = (step: number): bigint => tried[(seed + step * 7) % tried.length] ?? 0n;
        const made = abisOf(arch).flatMap(([, { table, audit }]) =>
          CALLS.flatMap((name, turn) => {
            const number = syscallNumbers(table).get(name);
            return number === undefined
              ? []
              : [{ name, table, number, audit, args: [pick(turn), pick(turn + 1), 0n] }];
          }),
        );
        const asked = made.filter(
          (call) => interpret(recorder.program.filter, call) === SECCOMP_RET_USER_NOTIF,
        );
        for (const call of asked) recorder.answer(call);
        const { profile, notes } = recorder.result();
        const again = compile(profile, arch, kernel);
        for (const call of asked) {
          // Conditions that a list of what is allowed cannot say are told.
          if (notes.some((note) => note.startsWith(`${call.name}: `))) continue;
          if (notes.some((note) => note.startsWith(`${call.name} of ${call.table}: `))) continue;
          const [before, after] = [filter, again.filter].map((each) => interpret(each, call));
          // LOG is as good as ALLOW to a program.
          const allowed = (answer = 0): boolean => answer >= 0x7ffc_0000 && answer <= SECCOMP_RET_ALLOW;
          expect({ call, allowed: allowed(after) }).toEqual({ call, allowed: allowed(before) });
          if (!allowed(before) && ((before ?? 0) & 0xffff_0000) === SECCOMP_RET_ERRNO) {
            expect({ call, after }).toEqual({ call, after: before });
          }
        }
      }),
      { numRuns: 200, seed: 9 },
    );
  },
);
