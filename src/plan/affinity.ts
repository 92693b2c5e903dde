/**
 * The CPUs that a process may use: `process.execCPUAffinity` of what is run by exec, and the CPUs of a cpuset, which a
 * process that is moved into it does not get by itself. Pure. Not here: the cpuset (drivers).
 */
import type { ExecCpuAffinity, Linux } from "../spec/runtime/config.ts";
import { maskOfList } from "./number-list.ts";
import { row } from "./rows.ts";
import type { InitStep } from "./step.ts";

/** Steps of exec by when they are due. */
export interface AffinitySteps {
  /** In stage 0, while it is not in the container's cgroup. */
  readonly initial: readonly InitStep[];
  /** In the process itself, which is. */
  readonly final: readonly InitStep[];
}

/** Where `final` is left out the kernel decides, as the specification has it. @throws CtrError INVALID_CONFIG. */
export function affinitySteps(affinity: ExecCpuAffinity | undefined): AffinitySteps {
  const { initial, final } = affinity ?? {};
  return {
    initial: initial === undefined ? [] : [affinityStep("initial", initial)],
    final: final === undefined ? [] : [affinityStep("final", final)],
  };
}

function affinityStep(name: keyof ExecCpuAffinity, list: string): InitStep {
  const field = `process.execCPUAffinity.${name}`;
  const bytes = maskOfList(list, field);
  return {
    on: "init",
    field,
    about: `run on the CPUs ${list}`,
    rows: [row("sched_setaffinity", [0, bytes.byteLength, { bytes }])],
    hints: {
      EINVAL:
        name === "initial"
          ? "none of these CPUs is there for ctr-bun itself to run on"
          : "none of these CPUs is in the container's cpuset: see linux.resources.cpu.cpus",
    },
  };
}

/** Bytes of a mask with more CPUs than a kernel has: it takes those that there are. */
const EVERY_CPU = 1024;

/**
 * Gives a process all CPUs of the cpuset that it was put into: since Linux 6.2 a narrower choice that its caller made
 * for it (taskset(1), CPUAffinity= of systemd) outlives the move. runc does the same.
 */
export function wholeCpusetSteps(linux: Linux | undefined): InitStep[] {
  if (linux?.resources?.cpu?.cpus === undefined) return [];
  const bytes = new Uint8Array(EVERY_CPU).fill(0xff);
  return [
    {
      on: "init",
      field: "linux.resources.cpu.cpus",
      about: "take all CPUs of the cpuset",
      rows: [row("sched_setaffinity", [0, bytes.byteLength, { bytes }])],
    },
  ];
}
