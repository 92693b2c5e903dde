/** When a filter is loaded, and what of the init's work it must let through. */
import { describe, expect, test } from "bun:test";
import { makePlan } from "../../../src/plan/plan.ts";
import { checkSeccomp } from "../../../src/plan/seccomp.ts";
import type { InitStep } from "../../../src/plan/step.ts";
import type { LinuxSeccomp, SeccompAction } from "../../../src/spec/runtime/config.ts";
import { SECCOMP_ACTIONS } from "../../../src/spec/runtime/seccomp.ts";
import { errorOf, HOSTS, initSteps, planInput, registry, smallConfig } from "./inputs.ts";

const profile = (action: SeccompAction, ...names: string[]): LinuxSeccomp => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names, action }],
});

const fields = (seccomp: LinuxSeccomp, noNewPrivileges: boolean) =>
  initSteps(
    makePlan(
      planInput(
        smallConfig({ process: { noNewPrivileges }, linux: { namespaces: [{ type: "mount" }], seccomp } }),
      ),
    ),
  ).map(({ field }) => field);

describe("the filter is loaded", () => {
  test("right before execve with no_new_privs, so that it binds nothing of the init's work", () => {
    const order = fields(profile("SCMP_ACT_ERRNO", "setresuid", "umask", "prctl"), true);
    expect(order.slice(-2)).toEqual(["linux.seccomp", "process.args[0]"]);
    expect(order.indexOf("process.noNewPrivileges")).toBeLessThan(order.indexOf("linux.seccomp"));
  });

  test("before capabilities are dropped without it", () => {
    const order = fields(profile("SCMP_ACT_ERRNO", "mount"), false);
    expect(order.indexOf("linux.seccomp")).toBeLessThan(order.indexOf("process.user"));
    expect(order).toContain("process.args[0]");
  });
});

describe("without no_new_privs a profile is refused that forbids", () => {
  for (const call of [
    "setgroups",
    "capset",
    "prctl",
    "chdir",
    "umask",
    "write",
    "read",
    "accept4",
    "execve",
  ]) {
    test(`${call}, which the init has yet to call`, () => {
      const error = errorOf(() => fields(profile("SCMP_ACT_ERRNO", call, "mount"), false));
      expect(error).toMatchObject({ code: "INVALID_CONFIG", field: "linux.seccomp" });
      expect(error.message).toEndWith(`yet to do: ${call}`);
      expect(error.hint).toContain("process.noNewPrivileges");
    });
  }

  test("by any action but allowing and logging", () => {
    const let_through = SECCOMP_ACTIONS.filter((action) => {
      if (action === "SCMP_ACT_NOTIFY") return false;
      try {
        fields(profile(action, "setgroups"), false);
        return true;
      } catch {
        return false;
      }
    });
    expect(let_through).toEqual(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"]);
  });
});

test("a profile older than faccessat2 leaves it to execve to find the program", () => {
  const about = (seccomp: LinuxSeccomp) =>
    initSteps(makePlan(planInput(smallConfig({ linux: { namespaces: [{ type: "mount" }], seccomp } })))).map(
      (step) => step.about,
    );
  expect(about(profile("SCMP_ACT_ERRNO", "mount"))).toContain("look up /bin/sh");
  expect(about(profile("SCMP_ACT_ERRNO", "faccessat2"))).not.toContain("look up /bin/sh");
});

test("ctr-bun's own profile lets a container start without no_new_privs", () => {
  const seccomp = registry.choose("seccomp", HOSTS.hybrid).defaultProfile(["CAP_KILL"], "x86_64");
  expect(fields(seccomp, false)).toContain("linux.seccomp");
});

test("tests and failures of the machine are no calls", () => {
  const program = registry
    .choose("seccomp", HOSTS.hybrid)
    .compile(profile("SCMP_ACT_ERRNO", "umask"), "x86_64", [6, 1]);
  const step: InitStep = {
    on: "init",
    field: "process",
    about: "x",
    rows: [
      { call: "test", args: [0, 0, 0] },
      { call: "fail", args: [-1, 0] },
    ],
  };
  expect(() => checkSeccomp({ registry, host: HOSTS.hybrid }, program, [step])).not.toThrow();
});
