/** When a filter is loaded, and what of the init's work it must let through. */
import { describe, expect, test } from "bun:test";
import type { PlanOptions } from "../../../src/plan/input.ts";
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

  test("by any action but allowing, logging and asking an agent", () => {
    const let_through = SECCOMP_ACTIONS.filter((action) => {
      try {
        fields({ ...profile(action, "setgroups"), listenerPath: "/run/agent.sock" }, false);
        return true;
      } catch {
        return false;
      }
    });
    expect(let_through).toEqual(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY"]);
  });
});

describe("a filter that notifies", () => {
  const asks = { ...profile("SCMP_ACT_NOTIFY", "mkdir", "write"), listenerPath: "/run/agent.sock" };
  const order = (start: "wait" | "go", noNewPrivileges = true, change: { hooks?: object } = {}) => {
    const linux = { namespaces: [{ type: "mount" as const }], seccomp: asks };
    const config = smallConfig({ process: { noNewPrivileges }, linux, ...change });
    const { steps } = makePlan(planInput(config, { options: { start } }));
    return steps.map(({ field, about }) => (field === "linux.seccomp" ? field : about));
  };
  const WAIT = "wait until ctr-bun has everything in place";

  test("is loaded before the container is created where it then waits for start: its listener is create's to send", () => {
    const all = order("wait");
    expect(all.indexOf("linux.seccomp")).toBe(all.indexOf(WAIT) - 1);
    expect(all.indexOf("look up /bin/sh")).toBeLessThan(all.indexOf("linux.seccomp"));
  });

  test("is loaded right before execve where it does not wait, and before what runs under it", () => {
    expect(order("go").slice(-2)).toEqual(["linux.seccomp", "execute /bin/sh"]);
    const hooked = order("go", true, { hooks: { startContainer: [{ path: "/bin/hook" }] } });
    const at = hooked.indexOf("linux.seccomp");
    expect([hooked[at - 1], hooked[at + 1]]).toEqual([WAIT, "run the hook /bin/hook"]);
    const early = order("go", false);
    expect(early.indexOf("linux.seccomp")).toBeLessThan(early.indexOf("become 0:0"));
  });

  test("is loaded by a thread that makes no call until another one has given its listener away", () => {
    const config = smallConfig({ process: { noNewPrivileges: true }, linux: { seccomp: asks } });
    const [step] = initSteps(makePlan(planInput(config))).filter(({ field }) => field === "linux.seccomp");
    const rows = step?.rows ?? [];
    const [load, other] = [
      rows.findIndex(({ call }) => call === "seccomp"),
      rows.findIndex(({ label }) => label === "listener.sender"),
    ];
    expect(rows.slice(load + 1, other).map(({ call }) => call)).toEqual(["test", "test"]);
    expect(rows.slice(other).map(({ call }) => call)).toContain("sendmsg");
    expect(rows.at(-1)?.call).toBe("test");
  });

  test("leaves it to execve to find the program where looking would ask an agent", () => {
    const linux = { seccomp: { ...profile("SCMP_ACT_NOTIFY", "faccessat2"), listenerPath: "/a" } };
    const config = smallConfig({ process: { noNewPrivileges: false }, linux });
    const abouts = initSteps(makePlan(planInput(config))).map(({ about }) => about);
    expect(abouts).not.toContain("look up /bin/sh");
    expect(abouts).toContain("find and execute /bin/sh");
  });
});

describe("the agent is", () => {
  const agent = (
    seccomp: Partial<LinuxSeccomp>,
    annotations: Record<string, string> = {},
    options: Partial<PlanOptions> = {},
  ) => {
    const linux = { seccomp: { ...profile("SCMP_ACT_NOTIFY", "mkdir"), ...seccomp } };
    return makePlan(planInput(smallConfig({ annotations, linux }), { options })).seccompAgent;
  };
  const RECEIVER = "run.oci.seccomp.receiver";

  test("who listens at listenerPath, and gets listenerMetadata", () => {
    expect(agent({ listenerPath: "/a", listenerMetadata: "m" }, { [RECEIVER]: "/b" })).toEqual({
      ...{ path: "/a", field: "linux.seccomp.listenerPath", metadata: "m" },
    });
  });

  test("else that of crun's annotation, else of its variable", () => {
    expect(agent({}, { [RECEIVER]: "/b" }, { seccompReceiver: "/c" })).toEqual({
      ...{ path: "/b", field: `annotations["${RECEIVER}"]` },
    });
    expect(agent({}, { [RECEIVER]: "" }, { seccompReceiver: "/c" })).toEqual({
      ...{ path: "/c", field: "RUN_OCI_SECCOMP_RECEIVER" },
    });
  });

  test("ctr-bun itself where it is asked to be", () => {
    expect(agent({ listenerPath: "/a" }, { "run.oci.seccomp.plugins": "a.so" }, { seccompAgent: true })).toBe(
      "own",
    );
  });

  test("nobody where no call is to be answered, whatever is named", () => {
    const syscalls = [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" as const }];
    const all = { [RECEIVER]: "b", "run.oci.seccomp.plugins": "a.so" };
    expect(agent({ listenerPath: "/a", listenerMetadata: "m", syscalls }, all)).toBe(undefined);
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
