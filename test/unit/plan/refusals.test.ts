/** What a plan refuses rather than leaving it out: spec-fixtures/config/refused.json, each with its exact error. */
import { describe, expect, test } from "bun:test";
import { type CtrError, errorLine } from "../../../src/error.ts";
import { makeExecPlan } from "../../../src/plan/exec.ts";
import type { PlanFacts, PlanOptions } from "../../../src/plan/input.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { parseDocument } from "../../../src/spec/parse.ts";
import {
  type LinuxSeccomp,
  type Mount,
  type Process,
  RuntimeConfig,
} from "../../../src/spec/runtime/config.ts";
import { fixtureValue } from "../spec/support.ts";
import {
  type Change,
  errorOf,
  type Found,
  HOSTS,
  planFacts,
  planInput,
  registry,
  smallConfig,
} from "./inputs.ts";

const MAPS = [{ containerID: 0, hostID: 1000, size: 1 }];
const NOTIFY: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
};
const mount = (entry: Mount): Change => ({ mounts: [entry] });
const linux = (properties: NonNullable<Change["linux"]>): Change => ({
  linux: { namespaces: [{ type: "mount" }], ...properties },
});
/** An entry of refused.json: what a config asks for beside {@link smallConfig}, what was looked up, and the error. */
interface Refused {
  readonly error: string;
  readonly asks: Change;
  readonly host?: keyof typeof HOSTS;
  readonly facts?: Partial<PlanFacts>;
  readonly found?: Found;
  readonly options?: Partial<PlanOptions>;
}
const REFUSED = fixtureValue("config/refused.json") as readonly Refused[];
const wordsOf = (error: CtrError) => `${error.code} ${errorLine(error)}`;

describe("a plan is refused: good values that make no sense together, or on this host", () => {
  test.each(REFUSED.map((entry) => [entry.error, entry] as const))("%s", (words, { asks, host, ...more }) => {
    const config = parseDocument(RuntimeConfig, smallConfig(asks), "config.json");
    const input = planInput(config, { ...more, ...(host === undefined ? {} : { host: HOSTS[host] }) });
    expect(wordsOf(errorOf(() => makePlan(input)))).toBe(words);
  });
});

test("a label is refused beside --init, which it would not be given to", () => {
  for (const [field, module] of [
    ["apparmorProfile", "apparmor"],
    ["selinuxLabel", "selinux"],
  ] as const) {
    const host = { ...HOSTS.hybrid, lsm: [module] };
    const config = smallConfig({ process: { [field]: "box" } });
    const plan = (init: boolean) => () => makePlan(planInput(config, { host, options: { init } }));
    expect(plan(false)).not.toThrow();
    const words = "cannot be had with --init: the label would not be that of process 1";
    expect(wordsOf(errorOf(plan(true)))).toBe(`UNSUPPORTED process.${field}: ${words}`);
  }
});

test("a config without a process has nothing to run", () => {
  const { process: _, ...config } = smallConfig();
  const words = "INVALID_CONFIG process: missing: there is nothing to run";
  expect(wordsOf(errorOf(() => makePlan(planInput(config))))).toBe(words);
});

describe("not refused", () => {
  const accepted: Readonly<Record<string, Change>> = {
    "empty lists and texts, as Go programs write them": {
      hostname: "",
      hooks: { createContainer: [], startContainer: [] },
      mounts: [{ destination: "/a", source: "/b", options: ["bind"], uidMappings: [], gidMappings: [] }],
      process: { apparmorProfile: "", selinuxLabel: "" },
      linux: {
        namespaces: [{ type: "mount" }],
        mountLabel: "",
        netDevices: {},
        uidMappings: [],
        timeOffsets: {},
      },
    },
    "maps of a user namespace that is joined: it has its own": {
      linux: {
        namespaces: [{ type: "mount" }, { type: "user", path: "/proc/42/ns/user" }],
        uidMappings: MAPS,
        gidMappings: MAPS,
      },
    },
    "what of /proc leads to no process": mount({
      destination: "/proc/meminfo",
      source: "/b",
      options: ["bind"],
    }),
    "a listener that no rule asks for": linux({
      seccomp: { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/agent" },
    }),
    "a number above 255 for a fifo, which has none": linux({
      devices: [{ type: "p", path: "/dev/x", major: -1 }],
    }),
  };
  for (const [name, change] of Object.entries(accepted)) {
    test(name, () => expect(makePlan(planInput(smallConfig(change))).steps.length).toBeGreaterThan(0));
  }
});

test("options of file systems are ignored with a word where a cgroup mount is a tree of hierarchies, as in runc", () => {
  const config = smallConfig(mount({ destination: "/a", type: "cgroup", options: ["ro", "nsdelegate"] }));
  expect(makePlan(planInput(config)).warnings).toEqual([
    "mounts[0].options: a tree of cgroup hierarchies takes no options of file systems, ignored: nsdelegate",
  ]);
  expect(makePlan(planInput(config, { host: HOSTS.unified })).warnings).toEqual([]);
});

test("an option that a bind mount cannot have is ignored with a word, as the kernel ignores it", () => {
  const config = smallConfig(mount({ destination: "/a", source: "/b", options: ["bind", "size=1m"] }));
  expect(makePlan(planInput(config)).warnings).toEqual([
    "mounts[0].options: a bind mount takes no options of file systems, ignored: size=1m",
  ]);
});

describe("exec refuses", () => {
  const exec = (process: Partial<Process>, seccomp?: LinuxSeccomp) => {
    const config: RuntimeConfig = smallConfig({ process });
    return makeExecPlan({
      id: "box",
      process: config.process ?? { user: { uid: 0, gid: 0 }, args: [], cwd: "/" },
      linux: undefined,
      seccomp,
      host: HOSTS.hybrid,
      registry,
      namespaces: 0,
      cgroup: undefined,
      facts: planFacts(config),
      preserveFds: 0,
      noNewKeyring: false,
      root: undefined,
    });
  };

  test("what create refuses of a process", () => {
    const ofProcesses = REFUSED.filter(({ error }) => error.startsWith("UNSUPPORTED process."));
    expect(ofProcesses.length).toBe(2);
    for (const { error, asks } of ofProcesses)
      expect(wordsOf(errorOf(() => exec(asks.process ?? {})))).toBe(error);
  });

  test("a profile that wants an agent to be asked, and names none", () => {
    const error = errorOf(() => exec({}, NOTIFY));
    expect(error).toMatchObject({ code: "INVALID_CONFIG", field: "linux.seccomp.listenerPath" });
    expect(exec({}, { ...NOTIFY, listenerPath: "/a" }).seccompAgent).toMatchObject({ path: "/a" });
  });
});
