// Plans of containers whose cgroup systemd makes: a scope with every limit on a unified and on a hybrid host, an ordinary
// user's, and what annotations add.
import { makePlan } from "../../../src/plan/plan.ts";
import type { Plan } from "../../../src/plan/step.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { goldenPlans } from "./golden.ts";
import { type Change, HOSTS, planInput, smallConfig } from "./inputs.ts";

/** Nothing is mounted: the plan is as short as can be. */
const SHORT = { mounts: [], linux: { namespaces: [{ type: "pid" as const }, { type: "cgroup" as const }] } };

const RESOURCES: LinuxResources = {
  devices: [
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
  ],
  memory: { limit: 67108864, reservation: 33554432, swap: 134217728 },
  cpu: { shares: 512, quota: 12345, period: 50000, cpus: "0-1", mems: "0" },
  pids: { limit: 100 },
  blockIO: { weight: 300 },
};

function plan(change: Change, host = HOSTS.unified, controlGroup = "/"): Plan {
  const config = smallConfig({ ...SHORT, ...change, linux: { ...SHORT.linux, ...change.linux } });
  const systemd = { version: 252, controlGroup };
  return makePlan(
    planInput(config, { host: { ...host, systemd }, options: { start: "go", cgroupDriver: "systemd" } }),
  );
}

goldenPlans({
  "systemd-unified": () => plan({ linux: { cgroupsPath: "system-box.slice:box:one", resources: RESOURCES } }),
  "systemd-hybrid": () =>
    plan({ linux: { cgroupsPath: "system-box.slice:box:one", resources: RESOURCES } }, HOSTS.hybrid),
  "systemd-user": () =>
    plan(
      { linux: { resources: { memory: { limit: 67108864 } } } },
      { ...HOSTS.unified, uid: 1000 },
      "/user.slice/user-1000.slice/user@1000.service",
    ),
  "systemd-one-process": () => plan({ linux: { resources: { ...RESOURCES, pids: { limit: 1 } } } }),
  "systemd-annotations": () =>
    plan({
      annotations: {
        "org.systemd.property.TimeoutStopSec": "90",
        "org.systemd.property.After": "['multi-user.target']",
        "run.oci.systemd.subgroup": "container",
        "run.oci.delegate-cgroup": "own",
      },
    }),
  "systemd-slice": () => plan({ linux: { cgroupsPath: "system.slice::system-box.slice" } }),
});
