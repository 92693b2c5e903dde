/** Plans with hooks in the container's namespaces, and what a filter must let through for them. */
import { expect, test } from "bun:test";
import { makePlan } from "../../../src/plan/plan.ts";
import type { LinuxSeccomp, RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { goldenPlans } from "./golden.ts";
import { calls, errorOf, initSteps, planInput, smallConfig, stepsOf } from "./inputs.ts";

const MOUNT = { type: "mount" } as const;
const deny = (...names: string[]): LinuxSeccomp => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names, action: "SCMP_ACT_ERRNO" }],
});
const HOOKS: RuntimeConfig["hooks"] = {
  createContainer: [
    { path: "/bin/one", args: ["one", "-x"], env: ["A=B"], timeout: 3 },
    { path: "/bin/two" },
  ],
  startContainer: [{ path: "/bin/three", timeout: 1 }],
};

goldenPlans({
  "hooks-in-container": () => {
    const config = smallConfig({
      annotations: { "org.example.key": "value" },
      hooks: HOOKS,
      process: { user: { uid: 1000, gid: 1000, umask: 0o77 } },
    });
    return makePlan(planInput(config, { facts: { nofile: { soft: 1024n, hard: 4096n } } }));
  },

  "hooks-of-all-kinds": () => {
    const hook = [{ path: "/bin/hook" }];
    const config = smallConfig({
      hooks: {
        prestart: hook,
        createRuntime: hook,
        createContainer: hook,
        startContainer: hook,
        poststart: hook,
        poststop: hook,
      },
      process: { noNewPrivileges: true },
      // Without a pid namespace of its own only ctr-bun can tell the pid.
      linux: { namespaces: [MOUNT], seccomp: deny("reboot") },
    });
    return makePlan(planInput(config, { options: { start: "go", init: true } }));
  },
});

test("without hooks in the container nothing of them is in the plan", () => {
  const config = smallConfig({ hooks: { createRuntime: [], createContainer: [], startContainer: [] } });
  const plan = makePlan(planInput(config));
  expect(plan).toEqual(makePlan(planInput(smallConfig())));
  expect(plan.steps.some(({ field }) => field.startsWith("hooks"))).toBe(false);
});

test("a startContainer hook runs under the filter, as the program does", () => {
  for (const noNewPrivileges of [true, false]) {
    const fields = initSteps(
      makePlan(
        planInput(
          smallConfig({ hooks: HOOKS, process: { noNewPrivileges }, linux: { seccomp: deny("reboot") } }),
        ),
      ),
    ).map(({ field }) => field);
    expect(fields.filter((field) => field === "linux.seccomp")).toHaveLength(1);
    expect(fields.indexOf("linux.seccomp")).toBeLessThan(fields.indexOf("hooks.startContainer[0]"));
    expect(fields.indexOf("linux.seccomp")).toBeGreaterThan(fields.indexOf("hooks.createContainer[1]"));
  }
});

test("a profile that forbids what running a startContainer hook takes is refused, with the calls", () => {
  for (const noNewPrivileges of [true, false]) {
    const config = (hooks: RuntimeConfig["hooks"]) =>
      smallConfig({ hooks, process: { noNewPrivileges }, linux: { seccomp: deny("clone", "memfd_create") } });
    const error = errorOf(() => makePlan(planInput(config(HOOKS))));
    expect(error).toMatchObject({ code: "INVALID_CONFIG", field: "linux.seccomp" });
    expect(error.message).toEndWith("yet to do: memfd_create, clone");
    expect(
      makePlan(planInput(config({ createContainer: [{ path: "/bin/one" }] }))).steps.length,
    ).toBeGreaterThan(0);
  }
});

test("a profile that forbids what an init takes that stays PID 1 is refused, with the calls", () => {
  for (const noNewPrivileges of [true, false]) {
    const config = smallConfig({
      process: { noNewPrivileges },
      linux: { seccomp: deny("rt_sigtimedwait", "waitid") },
    });
    const error = errorOf(() => makePlan(planInput(config, { options: { start: "go", init: true } })));
    expect(error).toMatchObject({ code: "INVALID_CONFIG", field: "linux.seccomp" });
    expect(error.message).toEndWith("yet to do: rt_sigtimedwait, waitid");
    expect(makePlan(planInput(config, { options: { start: "go" } })).steps.length).toBeGreaterThan(0);
  }
});

test("a hook without a timeout is waited for without one", () => {
  const plan = makePlan(planInput(smallConfig({ hooks: HOOKS })));
  const timeout = (field: string) =>
    stepsOf(plan, field)
      .flatMap(({ rows }) => rows)
      .find(({ call }) => call === "ppoll")?.args[2];
  expect(timeout("hooks.createContainer[1]")).toBe(0);
  expect(timeout("hooks.createContainer[0]")).toEqual({ at: "createContainer 0 timeout" });
  expect(calls(stepsOf(plan, "hooks.createContainer[1].path").flatMap(({ rows }) => rows))).toContain(
    "execve",
  );
});
