/** Plans as text: scheduler, I/O priority, CPUs, memory policy, personality; of a container, and of exec. */
import { CLONE_NEWNS } from "../../../src/kernel/constants.ts";
import { makeExecPlan } from "../../../src/plan/exec.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { Linux, LinuxSeccomp, Process } from "../../../src/spec/runtime/config.ts";
import { goldenPlans } from "./golden.ts";
import { HOSTS, planFacts, planInput, registry, smallConfig } from "./inputs.ts";

const PROCESS: Partial<Process> = {
  scheduler: {
    policy: "SCHED_DEADLINE",
    flags: ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"],
    runtime: 10_000_000,
    deadline: 20_000_000,
    period: 18446744073709551615n,
  },
  ioPriority: { class: "IOPRIO_CLASS_BE", priority: 7 },
  execCPUAffinity: { initial: "0-3,7", final: "64, 1" },
};
const LINUX: Partial<Linux> = {
  memoryPolicy: { mode: "MPOL_INTERLEAVE", nodes: "0-1", flags: ["MPOL_F_STATIC_NODES"] },
  personality: { domain: "LINUX32", flags: ["ADDR_NO_RANDOMIZE"] },
};
/** Forbids all of it: the filter is loaded after these calls, whether early or late. */
const SECCOMP: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [
    {
      names: ["personality", "set_mempolicy", "sched_setaffinity", "sched_setattr", "ioprio_set"],
      action: "SCMP_ACT_ERRNO",
    },
  ],
};

goldenPlans({
  scheduling: () => {
    const linux = { ...LINUX, seccomp: SECCOMP, resources: { cpu: { cpus: "0-1" } } };
    return makePlan(planInput(smallConfig({ process: PROCESS, linux })));
  },
  "exec-scheduling": () => {
    const config = smallConfig({ process: PROCESS, linux: LINUX });
    const { process } = config;
    if (process === undefined) throw new Error("no process");
    const cgroup = registry.choose("cgroup", HOSTS.hybrid);
    return makeExecPlan({
      id: "box",
      process,
      linux: config.linux,
      seccomp: SECCOMP,
      host: HOSTS.hybrid,
      registry,
      namespaces: CLONE_NEWNS,
      cgroup: cgroup.join({ cpuset: "/sys/fs/cgroup/cpuset/ctr-bun/box" }, HOSTS.hybrid, 42),
      facts: planFacts(config),
      preserveFds: 0,
      noNewKeyring: false,
      root: undefined,
    });
  },
});
