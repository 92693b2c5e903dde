/** Recorded plans of labels: AppArmor, SELinux and mounts, for new containers, joined namespaces and exec. */
import type { Host } from "../../../src/driver.ts";
import { CLONE_NEWNS, CLONE_NEWPID } from "../../../src/kernel/constants.ts";
import { makeExecPlan } from "../../../src/plan/exec.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { Plan } from "../../../src/plan/step.ts";
import type { Process } from "../../../src/spec/runtime/config.ts";
import { goldenPlans } from "./golden.ts";
import { HOSTS, planFacts, planInput, registry, smallConfig } from "./inputs.ts";

const selinux: Host = { ...HOSTS.legacy, lsm: ["capability", "yama", "selinux"] };
const LABEL = "system_u:system_r:box_t:s0:c1,c2";
const MOUNT_LABEL = "system_u:object_r:box_file_t:s0:c1,c2";
const options = { start: "go" } as const;

function execPlan(change: Partial<Process>, host: Host): Plan {
  const config = smallConfig({ process: change });
  if (config.process === undefined) throw new Error("no process");
  return makeExecPlan({
    id: "box",
    process: config.process,
    linux: undefined,
    seccomp: undefined,
    host,
    registry,
    namespaces: CLONE_NEWNS + CLONE_NEWPID,
    cgroup: undefined,
    facts: planFacts(config),
    preserveFds: 0,
    noNewKeyring: false,
    root: undefined,
  });
}

goldenPlans({
  apparmor: () => {
    const config = smallConfig({ process: { apparmorProfile: "box" } });
    return makePlan(planInput(config, { host: HOSTS.unified, options }));
  },

  "apparmor-joined-mount-namespace": () => {
    const namespaces = [{ type: "mount", path: "/proc/42/ns/mnt" }] as const;
    const linux = { namespaces: [...namespaces] };
    const config = smallConfig({ mounts: [], process: { apparmorProfile: "box" }, linux });
    return makePlan(planInput(config, { host: HOSTS.unified, options }));
  },

  "apparmor-exec": () => execPlan({ apparmorProfile: "box" }, HOSTS.unified),

  selinux: () => {
    const config = smallConfig({
      process: { selinuxLabel: LABEL },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["ro", "mode=755"] },
        { destination: "/dev/mqueue", type: "mqueue", source: "mqueue" },
        { destination: "/sys", type: "sysfs", source: "sysfs" },
        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
        { destination: "/srv", type: "bind", source: "/srv", options: ["rbind"] },
        { destination: "/own", type: "tmpfs", options: ['context="system_u:object_r:own_t:s0:c3,c4"'] },
        { destination: "/long", type: "overlay", options: [`lowerdir=${"/low".repeat(64)}`] },
      ],
      linux: { namespaces: [{ type: "mount" }], mountLabel: MOUNT_LABEL, maskedPaths: ["/sys/firmware"] },
    });
    return makePlan(planInput(config, { host: selinux, options }));
  },

  "selinux-no-keyring": () => {
    const config = smallConfig({ process: { selinuxLabel: LABEL } });
    return makePlan(planInput(config, { host: selinux, options: { ...options, noNewKeyring: true } }));
  },

  "selinux-exec": () => execPlan({ selinuxLabel: LABEL }, selinux),
});
