/**
 * `process.scheduler` and `process.ioPriority`. ctr-bun sets them from outside, at the last wait before the program:
 * the kernel asks for CAP_SYS_NICE in the host's user namespace, which a process in another one never has, and a
 * process under SCHED_DEADLINE may not fork any more. No filter of seccomp is in the way either.
 * Not here: the CPUs that a process may use (affinity.ts).
 */
import { fail } from "../error.ts";
import { IOPRIO_CLASS_SHIFT, IOPRIO_CLASSES, SCHED_FLAGS, SCHED_POLICIES } from "../kernel/constants.ts";
import type { IoPriority, Process, Scheduler } from "../spec/runtime/config.ts";
import type { HostStep } from "./step.ts";

const SCHEDULER_HINTS = {
  EPERM:
    "real-time policies and a lower nice value take CAP_SYS_NICE; with the cpu controller of cgroup v1 also linux.resources.cpu.realtimeRuntime; SCHED_DEADLINE cannot be had with linux.resources.cpu.cpus",
  EINVAL:
    "the kernel refuses these values: SCHED_FIFO and SCHED_RR take a priority from 1 to 99, SCHED_DEADLINE runtime <= deadline <= period, and SCHED_ISO is in no kernel",
  EBUSY: "other programs under SCHED_DEADLINE leave too little time: take a smaller runtime",
  EOPNOTSUPP: "this kernel has no utilization clamping (CONFIG_UCLAMP_TASK)",
};

const IO_HINTS = {
  EPERM: "IOPRIO_CLASS_RT takes CAP_SYS_NICE or CAP_SYS_ADMIN",
};

/**
 * Refuses what would fork under SCHED_DEADLINE: the kernel lets no such process fork (sched(7)), and once a process is
 * ready to start, the policy is set. `forks`: the property or flag that asks for it.
 */
export function refuseDeadlineFork(
  { scheduler }: Pick<Process, "scheduler">,
  forks: string | undefined,
): void {
  if (forks === undefined || scheduler?.policy !== "SCHED_DEADLINE") return;
  if (scheduler.flags?.includes("SCHED_FLAG_RESET_ON_FORK") === true) return;
  throw fail({
    code: "INVALID_CONFIG",
    field: "process.scheduler.flags",
    message: `${forks} cannot be had: under SCHED_DEADLINE a process may not fork`,
    hint: 'add "SCHED_FLAG_RESET_ON_FORK": what is forked is then scheduled as any other process',
  });
}

/** Host steps, for when the init waits the last time. */
export function schedulingSteps({ scheduler, ioPriority }: Process): HostStep[] {
  const steps: HostStep[] = [];
  if (scheduler !== undefined) steps.push(schedulerStep(scheduler));
  if (ioPriority !== undefined) steps.push(ioPriorityStep(ioPriority));
  return steps;
}

function schedulerStep(scheduler: Scheduler): HostStep {
  const { policy, nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  let flags = 0;
  for (const name of scheduler.flags ?? []) flags |= SCHED_FLAGS[name];
  return {
    on: "host",
    field: "process.scheduler",
    about: `schedule it as ${policy}`,
    action: {
      do: "scheduler",
      policy: SCHED_POLICIES[policy],
      flags,
      nice,
      priority,
      runtime: BigInt(runtime),
      deadline: BigInt(deadline),
      period: BigInt(period),
    },
    hints: SCHEDULER_HINTS,
  };
}

function ioPriorityStep({ class: name, priority }: IoPriority): HostStep {
  return {
    on: "host",
    field: "process.ioPriority",
    about: `set its I/O priority to ${name}, ${priority}`,
    action: { do: "io-priority", priority: (IOPRIO_CLASSES[name] << IOPRIO_CLASS_SHIFT) | priority },
    hints: IO_HINTS,
  };
}
