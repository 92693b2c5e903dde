/**
 * No property is passed over in silence: each one of the specification (spec-fixtures/config/full.json has all), left
 * out or changed, makes another plan, of a container or of exec, or stands below with the reason why it does not.
 */
import { expect, test } from "bun:test";
import type { Host } from "../../../src/driver.ts";
import { CtrError } from "../../../src/error.ts";
import { makeExecPlan } from "../../../src/plan/exec.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { Plan } from "../../../src/plan/step.ts";
import { parseDocument } from "../../../src/spec/parse.ts";
import { RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { fixtureValue, keysOf } from "../spec/support.ts";
import { HOSTS, planFacts, planInput, registry } from "./inputs.ts";

/** Properties that no plan shows. */
const NOT_IN_PLANS: Readonly<Record<string, string>> = {
  "hooks.poststart": "run by start, when nothing is left to plan",
  "hooks.poststop": "run by delete",
  "linux.resources.memory.checkBeforeUpdate": "for update alone",
  "process.user.username": "for Windows (config.md, User)",
};

type Key = string | number;
type Change = readonly [path: string, value: unknown];

/** What the init has yet to do under a filter, with a hook. */
const ENDS_WITH =
  "read prctl accept4 pipe2 sendmsg close memfd_create write lseek clone ppoll pidfd_send_signal waitid dup3 umask execve".split(
    " ",
  );
/** full.json is an example of every property, not of a container: this makes one of it. */
const A_CONTAINER: readonly Change[] = [
  ["linux.uidMappings[1]", { containerID: 10, hostID: 10, size: 5 }],
  ["linux.gidMappings", [0, 10].map((start) => ({ containerID: start, hostID: start, size: 5 }))],
  ["linux.namespaces[6]", undefined],
  ["linux.seccomp.syscalls[0].names", ["chmod"]],
  ["linux.seccomp.syscalls[0].action", "SCMP_ACT_ERRNO"],
  ["linux.seccomp.syscalls[1]", { names: ENDS_WITH, action: "SCMP_ACT_ALLOW" }],
  ["linux.seccomp.syscalls[2]", { names: ["mknodat"], action: "SCMP_ACT_NOTIFY" }],
  ["mounts[2].gidMappings[0].size", 5],
  ["mounts[3]", { destination: "/tmp", type: "tmpfs", source: "tmpfs" }],
];
/** Another container: some properties mean nothing beside others. */
const WITHOUT_USER_NAMESPACE: readonly Change[] = [
  ["linux.namespaces[5]", undefined],
  ["linux.uidMappings", undefined],
  ["linux.gidMappings", undefined],
  ["linux.seccomp", undefined],
  ["process.scheduler", { policy: "SCHED_FIFO", priority: 4 }],
];

/** Another value for what cannot be left out, and does not take any value of its type. */
const OTHERS: Readonly<Record<string, unknown>> = {
  ociVersion: "1.2.0",
  "linux.devices.type": "b",
  "linux.memoryPolicy.mode": "MPOL_BIND",
  "linux.memoryPolicy.nodes": "0",
  "linux.namespaces.type": "cgroup",
  "linux.personality.domain": "LINUX",
  "linux.personality.flags": ["ADDR_NO_RANDOMIZE"],
  "linux.resources.hugepageLimits.pageSize": "1GB",
  "linux.rootfsPropagation": "shared",
  "linux.seccomp.architectures": ["SCMP_ARCH_X86"],
  "linux.seccomp.defaultAction": "SCMP_ACT_TRACE",
  "linux.seccomp.syscalls.action": "SCMP_ACT_TRACE",
  "linux.seccomp.syscalls.args.op": "SCMP_CMP_NE",
  "mounts.type": "ramfs",
  "process.capabilities.ambient": ["CAP_KILL"],
  "process.ioPriority.class": "IOPRIO_CLASS_BE",
  "process.rlimits.type": "RLIMIT_CPU",
  "process.scheduler.policy": "SCHED_RR",
};

/** Controllers of both versions, and all that a config may ask for. */
const BOTH: readonly Host[] = [
  HOSTS.unified.cgroup,
  { ...HOSTS.legacy.cgroup, mode: "hybrid" as const, unified: "/sys/fs/cgroup/unified" },
].map((cgroup) => ({ ...HOSTS.unified, cgroup, lsm: ["apparmor", "selinux"] }));

/** The property as the specification names it: without indexes, and without the names that a map has. */
function property(path: readonly Key[]): string {
  const text = path.filter((key) => typeof key === "string").join(".");
  return text.replace(/^(annotations|linux\.(?:netDevices|sysctl|resources\.(?:rdma|unified)))\..+/, "$1");
}

/** Every path of a document, holders before what they hold. */
function paths(value: unknown, at: readonly Key[] = []): (readonly Key[])[] {
  if (typeof value !== "object" || value === null) return [at];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [at, ...entries.flatMap(([key, part]) => paths(part, [...at, key]))].filter(
    (path) => path.length > 0,
  );
}

function at(document: unknown, path: readonly Key[]): unknown {
  return path.reduce((value, key) => (value as Record<Key, unknown>)[key], document);
}

/** Sets what is at a path, or takes it out. */
function put(document: unknown, path: readonly Key[], value: unknown): void {
  const holder = at(document, path.slice(0, -1)) as Record<Key, unknown>;
  const last = path.at(-1) ?? "";
  if (value !== undefined) holder[last] = structuredClone(value);
  else if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else delete holder[last];
}

/** A container of all that goes together, and one of what means nothing beside something in the first. */
const CONTAINERS = [A_CONTAINER, [...A_CONTAINER, ...WITHOUT_USER_NAMESPACE]].map((changes) => {
  const document = fixtureValue("config/full.json");
  for (const [path, value] of changes) put(document, keysOf(path), value);
  return document;
});

/** Plans of a document: of the container and of exec into it, on both hosts. */
function plansOf(document: unknown): readonly Plan[] {
  const config = parseDocument(RuntimeConfig, document, "config.json");
  const resctrl = { root: "/sys/fs/resctrl", schemata: undefined, monitored: false };
  return BOTH.flatMap((host) => {
    const { process, linux } = config;
    if (process === undefined) return [];
    const facts = planFacts(config);
    const exec = makeExecPlan({
      ...{ id: "box", process, linux, host, registry, facts, seccomp: linux?.seccomp, namespaces: 0 },
      ...{ cgroup: undefined, preserveFds: 0, noNewKeyring: false, root: undefined },
    });
    return [makePlan(planInput(config, { host, facts: { resctrl } })), exec];
  });
}

/** Whether the document with another value at this path has other plans. */
function isSeen(document: unknown, path: readonly Key[], whole: readonly Plan[]): boolean {
  return others(at(document, path), property(path)).some((value) => {
    const other = structuredClone(document);
    put(other, path, value);
    try {
      return !Bun.deepEquals(plansOf(other), whole);
    } catch (error) {
      // What is refused is no answer: another value may show it.
      if (error instanceof CtrError) return false;
      throw error;
    }
  });
}

/** What to try instead of a value: nothing, and its neighbours. */
function others(value: unknown, name: string): unknown[] {
  const tried: unknown[] = [undefined];
  if (name in OTHERS) tried.push(OTHERS[name]);
  if (typeof value === "boolean") tried.push(!value);
  if (typeof value === "number") tried.push(value + 1, value - 1);
  if (typeof value === "bigint") tried.push(value + 1n, value - 1n);
  if (typeof value === "string") tried.push(`${value}x`);
  return tried;
}

test("every property makes a difference to a plan, but those that cannot", () => {
  const all = paths(fixtureValue("config/full.json")).map(property);
  const seen = new Set<string>();
  for (const document of CONTAINERS) {
    const whole = plansOf(document);
    for (const path of paths(document)) {
      // What holds a property is seen where that is.
      if (!seen.has(property(path)) && isSeen(document, path, whole))
        for (const length of path.keys()) seen.add(property(path.slice(0, length + 1)));
    }
  }
  const silent = [...new Set(all)].filter((name) => !seen.has(name));
  const listed = Object.keys(NOT_IN_PLANS);
  expect(silent.filter((name) => !listed.some((each) => `${name}.`.startsWith(`${each}.`)))).toEqual([]);
  expect(listed.filter((name) => !silent.includes(name))).toEqual([]);
}, 60_000);
