// Plans of an ordinary user's containers: where nothing was delegated, where a cgroup2 tree's part was, and with IDs that
// newuidmap(1) maps. And what of limits is refused.
import { expect, test } from "bun:test";
import type { Host } from "../../../src/driver.ts";
import { CtrError } from "../../../src/error.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { Plan } from "../../../src/plan/step.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { goldenPlans } from "./golden.ts";
import { HOSTS, planInput, smallConfig } from "./inputs.ts";

const MAP = [{ containerID: 0, hostID: 1000, size: 1 }];

function forUser(host: Host, delegated: readonly string[] = [], own = "/user/shell"): Host {
  const cgroup = { ...host.cgroup, delegated, own: { ...host.cgroup.own, "": own } };
  return { ...host, uid: 1000, gid: 1000, unprivileged: true, cgroup };
}

function plan(host: Host, resources?: LinuxResources, uidMappings = MAP): Plan {
  const config = smallConfig({
    mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] }],
    linux: {
      namespaces: [{ type: "user" }, { type: "mount" }, { type: "pid" }],
      uidMappings,
      gidMappings: uidMappings,
      resources,
    },
  });
  return makePlan(planInput(config, { host, options: { start: "wait" } }));
}

goldenPlans({
  "rootless-unified": () => plan(forUser(HOSTS.unified)),
  "rootless-hybrid": () => plan(forUser(HOSTS.hybrid)),
  "rootless-delegated": () =>
    plan(forUser(HOSTS.unified, [""]), {
      memory: { limit: 67108864 },
      devices: [{ allow: false, access: "rwm" }],
    }),
  "rootless-many-ids": () =>
    plan(forUser(HOSTS.unified), undefined, [...MAP, { containerID: 1, hostID: 100000, size: 65536 }]),
});

/** The error of a plan, as field and message. */
function refusal(host: Host, resources: LinuxResources): string {
  try {
    plan(host, resources);
  } catch (error) {
    if (error instanceof CtrError) return `${error.code} ${error.field}: ${error.message}`;
  }
  return "none";
}

test("a limit in a hierarchy of which nothing was delegated is refused, with its file and where that would be", () => {
  const memory: LinuxResources = { memory: { limit: 67108864 } };
  expect(refusal(forUser(HOSTS.unified), memory)).toBe(
    "CGROUP linux.resources.memory.limit: cannot set memory.max: this user may make no cgroup in /sys/fs/cgroup/user",
  );
  expect(refusal(forUser(HOSTS.unified), { unified: { "cgroup.max.depth": "3" } })).toBe(
    "CGROUP linux.resources.unified.cgroup.max.depth: cannot set cgroup.max.depth: this user may make no cgroup in /sys/fs/cgroup/user",
  );
  expect(refusal(forUser(HOSTS.hybrid, ["pids"]), memory)).toBe(
    "CGROUP linux.resources.memory.limit: cannot set memory.limit_in_bytes: this user may make no cgroup in /sys/fs/cgroup/memory/user",
  );
  expect(refusal(forUser(HOSTS.hybrid, ["pids"]), { unified: { "cgroup.max.depth": "3" } })).toBe(
    "CGROUP linux.resources.unified.cgroup.max.depth: cannot set cgroup.max.depth: this user may make no cgroup in /sys/fs/cgroup/unified/user/shell",
  );
});

test("on v1 a container is in the hierarchies that were delegated, and in no other", () => {
  const { cgroupPaths } = plan(forUser(HOSTS.hybrid, ["pids", "memory"]), { pids: { limit: 10 } });
  expect(cgroupPaths).toEqual({
    memory: "/sys/fs/cgroup/memory/user/ctr-bun/box",
    pids: "/sys/fs/cgroup/pids/ctr-bun/box",
  });
});
