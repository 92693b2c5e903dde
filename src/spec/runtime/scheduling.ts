/**
 * How the kernel schedules the process: `process.scheduler`, `ioPriority`, `execCPUAffinity` of config.json
 * (config.md, "Linux Process"). Not here: cgroup CPU limits (resources.ts).
 */
import * as v from "valibot";
import { defaulted, lazy, object, optional, optionalText, rule } from "../builders.ts";
import { consistsOf, Int32, integer, oneOf, Uint64 } from "../scalars.ts";

/** A list of CPUs or NUMA nodes as in cpuset(7): `0-3,7`. Whether they exist is for the kernel to say. */
export const CpuList = v.pipe(
  v.string(),
  v.check((list) => consistsOf(list, "0123456789,- "), 'must be a list such as "0-3,7"'),
);

/** sched_setattr(2). Times in nanoseconds, for SCHED_DEADLINE only. */
export const Scheduler = lazy(() =>
  v.pipe(
    object({
      policy: oneOf(
        "SCHED_OTHER",
        "SCHED_FIFO",
        "SCHED_RR",
        "SCHED_BATCH",
        "SCHED_ISO",
        "SCHED_IDLE",
        "SCHED_DEADLINE",
      ),
      nice: optional(Int32),
      priority: optional(Int32),
      flags: optional(
        v.array(
          oneOf(
            "SCHED_FLAG_RESET_ON_FORK",
            "SCHED_FLAG_RECLAIM",
            "SCHED_FLAG_DL_OVERRUN",
            "SCHED_FLAG_KEEP_POLICY",
            "SCHED_FLAG_KEEP_PARAMS",
            "SCHED_FLAG_UTIL_CLAMP_MIN",
            "SCHED_FLAG_UTIL_CLAMP_MAX",
          ),
        ),
      ),
      runtime: optional(Uint64),
      deadline: optional(Uint64),
      period: optional(Uint64),
    }),
    rule(({ policy, nice = 0, priority = 0, ...times }, complain) => {
      if ((policy === "SCHED_OTHER" || policy === "SCHED_BATCH") && (nice < -20 || nice > 19)) {
        complain("must be from -20 to 19", "nice");
      }
      if (priority !== 0 && policy !== "SCHED_FIFO" && policy !== "SCHED_RR") {
        complain(`must not be set for ${policy}, only for SCHED_FIFO and SCHED_RR`, "priority");
      }
      if (policy === "SCHED_DEADLINE") return;
      for (const key of ["runtime", "deadline", "period"] as const) {
        if ((times[key] ?? 0) > 0) complain(`must not be set for ${policy}, only for SCHED_DEADLINE`, key);
      }
    }),
  ),
);
export type Scheduler = v.InferOutput<typeof Scheduler>;

/** ioprio_set(2). `priority` from 0 (first) to 7 (last); left out, it is 0. */
export const IoPriority = lazy(() =>
  object({
    class: oneOf("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"),
    priority: defaulted(integer(0, 7), 0),
  }),
);
export type IoPriority = v.InferOutput<typeof IoPriority>;

/** CPUs of an `exec`ed process before and after it is in the container's cgroup. */
export const ExecCpuAffinity = lazy(() =>
  object({ initial: optionalText(CpuList), final: optionalText(CpuList) }),
);
export type ExecCpuAffinity = v.InferOutput<typeof ExecCpuAffinity>;
