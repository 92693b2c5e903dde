import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { abisOf } from "../../../drivers/seccomp/abi.ts";
import { answerText } from "../../../drivers/seccomp/answer.ts";
import { compile } from "../../../drivers/seccomp/compile.ts";
import { defaultProfile } from "../../../drivers/seccomp/default-profile.ts";
import { explain } from "../../../drivers/seccomp/explain.ts";
import { interpret } from "../../../drivers/seccomp/interpret.ts";
import { workbench } from "../../../drivers/seccomp/workbench.ts";
import type { SeccompExplanation } from "../../../src/driver.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp } from "../../../src/spec/runtime/seccomp.ts";
import { boundaries } from "../../support/seccomp/meaning.ts";
import { CALLS, kernel, profiles, sourceOf } from "./profiles.ts";

function ask(profile: LinuxSeccomp, call: string, args?: bigint[], arch = "x86_64"): SeccompExplanation {
  return explain(sourceOf(profile), kernel, arch, call, args);
}

/** The one outcome, without the path. */
function one(explanation: SeccompExplanation): Record<string, unknown> {
  expect(explanation.outcomes).toHaveLength(1);
  const { when, verdict, rule, why } = explanation.outcomes[0] ?? expect.unreachable();
  return { when, verdict, rule, why };
}

const CLOSED = {
  defaultAction: "SCMP_ACT_ERRNO",
  architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
} as const satisfies Partial<LinuxSeccomp>;

describe("explain says why a call gets what it gets", () => {
  const profile: LinuxSeccomp = {
    ...CLOSED,
    architectures: ["SCMP_ARCH_X86"],
    syscalls: [
      { names: ["read", "openat2"], action: "SCMP_ACT_ALLOW" },
      { names: ["write"], action: "SCMP_ACT_ERRNO" },
      {
        names: ["kill"],
        action: "SCMP_ACT_LOG",
        args: [
          { index: 0, op: "SCMP_CMP_GT", value: 5 },
          { index: 1, op: "SCMP_CMP_MASKED_EQ", value: 0xf0, valueTwo: 0x10 },
        ],
      },
      { names: ["bind"], action: "SCMP_ACT_ALLOW" },
    ],
  };

  test("a rule that names it", () => {
    expect(one(ask(profile, "read"))).toEqual({
      when: undefined,
      verdict: "ALLOW",
      rule: "syscalls[0]",
      why: "it names the call, and has no conditions",
    });
  });

  test("a rule whose conditions hold for the arguments, and what holds where they do not", () => {
    expect(one(ask(profile, "kill", [6n, 0x1fn]))).toEqual({
      when: "args[0] > 0x5 and (args[1] & 0xf0) == 0x10",
      verdict: "LOG",
      rule: "syscalls[2]",
      why: "the first rule whose conditions hold: args[0] > 0x5 and (args[1] & 0xf0) == 0x10",
    });
    expect(one(ask(profile, "kill", [5n, 0x10n]))).toMatchObject({
      verdict: "ERRNO 1 (EPERM)",
      rule: undefined,
      why: "no rule's conditions hold: the default action, ERRNO 1 (EPERM)",
    });
  });

  test("all outcomes where no arguments are given, with arguments for each", () => {
    const { outcomes } = ask(profile, "kill");
    expect(outcomes.map(({ when, args, verdict }) => [when, args.slice(0, 2), verdict])).toEqual([
      ["args[0] > 0x5 and (args[1] & 0xf0) == 0x10", [6n, 0x10n], "LOG"],
      ["in all other cases", [0n, 0n], "ERRNO 1 (EPERM)"],
    ]);
  });

  test("the default, because no rule names it or because a rule says the same", () => {
    expect(one(ask(profile, "open"))).toMatchObject({
      verdict: "ERRNO 1 (EPERM)",
      why: "no rule names it: the default action, ERRNO 1 (EPERM)",
    });
    const write = ask(profile, "write");
    expect(one(write)).toMatchObject({
      why: "no rule says anything else: the default action, ERRNO 1 (EPERM)",
    });
    expect(write.notes).toEqual(["syscalls[1]: says what the default action says, and is left out"]);
  });

  test("ENOSYS for what is newer than the profile", () => {
    expect(one(ask({ ...profile, ...CLOSED }, "futex_waitv"))).toMatchObject({
      verdict: "ERRNO 38 (ENOSYS)",
      rule: undefined,
      why: "newer than the profile: of x86_64, openat2 (437) is the largest number that it names, and programs fall back on ENOSYS",
    });
    expect(one(ask({ ...profile, defaultAction: "SCMP_ACT_ALLOW" }, "futex_waitv"))).toMatchObject({
      verdict: "ALLOW",
    });
  });

  test("an architecture that is not covered", () => {
    expect(one(ask(profile, "read", undefined, "x32"))).toMatchObject({
      verdict: "KILL_THREAD",
      why: "the profile does not cover x32: its architectures are SCMP_ARCH_X86",
    });
    expect(one(ask(profile, "0x40000000"))).toMatchObject({ verdict: "KILL_THREAD" });
    expect(one(ask({ defaultAction: "SCMP_ACT_ERRNO" }, "read", undefined, "386"))).toMatchObject({
      why: "the profile does not cover i386: its architectures are the host's own alone",
    });
  });

  test("-1, with which a tracer has a call left out", () => {
    expect(one(ask(profile, "-1"))).toMatchObject({ verdict: "ERRNO 1 (EPERM)", rule: undefined });
    expect(ask(profile, "-1").syscall).toBe("-1");
  });

  test("i386's socketcall, through the rules on what it hides", () => {
    expect(one(ask(profile, "socketcall", [2n], "x86"))).toMatchObject({
      verdict: "ALLOW",
      rule: "syscalls[3]",
    });
    expect(one(ask(profile, "socketcall", [3n], "x86"))).toMatchObject({ verdict: "ERRNO 1 (EPERM)" });
    expect(ask(profile, "bind", undefined, "x86").notes).toEqual([
      "on i386 programs also make this call as socketcall(2, ...), where its arguments are behind a pointer: conditions on args[0] are not asked there",
    ]);
  });

  test("a repeated index makes alternatives", () => {
    const twice: LinuxSeccomp = {
      ...CLOSED,
      syscalls: [
        {
          names: ["kill"],
          action: "SCMP_ACT_ALLOW",
          args: [
            { index: 1, op: "SCMP_CMP_EQ", value: 9 },
            { index: 1, op: "SCMP_CMP_EQ", value: 15 },
          ],
        },
      ],
    };
    const { outcomes, notes } = ask(twice, "kill");
    expect(outcomes.map(({ when, verdict }) => [when, verdict])).toEqual([
      ["args[1] == 0xf", "ALLOW"],
      ["args[1] == 0x9", "ALLOW"],
      ["in all other cases", "ERRNO 1 (EPERM)"],
    ]);
    expect(notes).toEqual([
      "syscalls[0]: names args[1] more than once, so its conditions are alternatives: each is a rule of its own, and one that holds is enough",
    ]);
  });

  test("a rule without conditions beats those that have some, and those that come later", () => {
    const many: LinuxSeccomp = {
      ...CLOSED,
      syscalls: [
        { names: ["kill"], action: "SCMP_ACT_TRAP", args: [{ index: 0, op: "SCMP_CMP_EQ", value: 1 }] },
        { names: ["kill"], action: "SCMP_ACT_LOG" },
        { names: ["kill"], action: "SCMP_ACT_ALLOW" },
      ],
    };
    expect(one(ask(many, "kill", [1n]))).toMatchObject({ verdict: "LOG", rule: "syscalls[1]" });
    expect(ask(many, "kill").notes).toEqual([
      "syscalls[0]: TRAP with conditions does not count: syscalls[1] has none, and beats all that have",
      "syscalls[2]: ALLOW does not count: syscalls[1] comes first",
    ]);
  });

  test("what Docker's includes and excludes left out", () => {
    const document = {
      defaultAction: "SCMP_ACT_ERRNO",
      archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
      syscalls: [
        { names: ["read"], action: "SCMP_ACT_ALLOW", includes: { arches: ["s390x"] } },
        { names: ["mount", "read"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
        { names: ["kill"], action: "SCMP_ACT_LOG", excludes: { caps: ["CAP_KILL"] } },
        { names: ["kill"], action: "SCMP_ACT_TRAP", includes: { minKernel: "99.1" } },
        { names: ["kill", "pidfd_open"], action: "SCMP_ACT_ALLOW" },
      ],
    };
    const read = (caps: string[]) => workbench.read(document, caps, "x86_64", kernel, "");
    const explanation = explain(read(["CAP_KILL"]), kernel, "x86_64", "read");
    expect(explanation.notes).toEqual([
      "syscalls[0]: SCMP_ACT_ALLOW for it is left out: only on s390x",
      "syscalls[1]: SCMP_ACT_ALLOW for it is left out: only with CAP_SYS_ADMIN",
    ]);
    const kill = explain(read(["CAP_KILL"]), kernel, "x86_64", "kill");
    expect(one(kill)).toMatchObject({ verdict: "ALLOW", rule: "syscalls[4]" });
    expect(kill.notes).toEqual([
      "syscalls[2]: SCMP_ACT_LOG for it is left out: not with CAP_KILL",
      "syscalls[3]: SCMP_ACT_TRAP for it is left out: only from Linux 99.1 on",
    ]);
    expect(one(explain(read(["CAP_SYS_ADMIN"]), kernel, "x86_64", "kill"))).toMatchObject({
      verdict: "LOG",
      rule: "syscalls[2]",
    });
  });

  test("the way through the filter ends with the answer", () => {
    const source = sourceOf(defaultProfile([], "x86_64"));
    const { filter } = compile(source.profile, "x86_64", kernel);
    const [outcome] = explain(source, kernel, "x86_64", "openat").outcomes;
    const lines = workbench.disassemble(filter).split("\n");
    const [first, ...rest] = (outcome?.path ?? []).map((at) => lines[at] ?? "");
    expect(first).toContain("architecture");
    expect(rest.at(-1)).toContain("ret 0x7fff0000");
    expect(rest.length).toBeLessThan(20);
  });

  test("a call or an architecture that is not there is refused with the way out", () => {
    const empty: LinuxSeccomp = { defaultAction: "SCMP_ACT_ALLOW" };
    expect(() => ask(empty, "waitpid")).toThrow(
      expect.objectContaining({
        message: 'x86_64 has no system call "waitpid"',
        hint: "i386 has: --arch i386",
      }),
    );
    expect(() => ask(empty, "no_such")).toThrow(
      expect.objectContaining({ hint: "syscalls(2) lists them; a number does as well" }),
    );
    expect(() => ask(empty, "read", [], "vax")).toThrow(
      expect.objectContaining({ field: "--arch", hint: "x86_64, x86, x32, aarch64 or arm" }),
    );
    expect(() => ask(empty, "4294967296")).toThrow(expect.objectContaining({ field: "SYSCALL" }));
  });
});

describe("explain and the filter agree", () => {
  test.each(["x86_64", "aarch64"] as const)("for every profile of %s, call and argument", (arch) => {
    fc.assert(
      fc.property(profiles(arch), fc.nat(), (profile, seed) => {
        const source = sourceOf(profile);
        const { filter } = compile(profile, arch, kernel);
        const tried = boundaries(profile);
        const pick = (step: number): bigint => tried[(seed + step * 7) % tried.length] ?? 0n;
        for (const [, abi] of abisOf(arch)) {
          const numbers = CALLS.map((name) => syscallNumbers(abi.table).get(name)).filter(
            (number) => number !== undefined,
          );
          for (const number of [...numbers, 102, 117, 500, 0xf_0005, -1]) {
            const without = explain(source, kernel, abi.table, String(number));
            for (const { answer, args } of without.outcomes) {
              expect(interpret(filter, { number: without.number, audit: abi.audit, args })).toBe(answer);
            }
            for (let turn = 0; turn < 4; turn++) {
              const args = [pick(turn), pick(turn + 1), pick(turn + 3)];
              const answer = interpret(filter, { number: without.number, audit: abi.audit, args });
              const { outcomes } = explain(source, kernel, abi.table, String(number), args);
              expect(outcomes.map(({ verdict }) => verdict)).toEqual([answerText(answer)]);
              // What is listed without arguments is all that there is.
              expect(without.outcomes.map((outcome) => outcome.answer)).toContain(answer);
            }
          }
        }
      }),
      { numRuns: 40, seed: 7 },
    );
  });
});
