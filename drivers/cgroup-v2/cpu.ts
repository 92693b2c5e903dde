/**
 * The v2 cpu controller: `linux.resources.cpu`, without the CPUs and memory nodes to run on (cpuset.ts).
 * Source: Documentation/admin-guide/cgroup-v2.rst, "CPU".
 */
import type { CgroupStats } from "../../src/driver.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";
import type { LinuxCpu } from "../../src/spec/runtime/resources.ts";
import { burstOf } from "../cgroup-common/burst.ts";
import { idleOf } from "../cgroup-common/idle.ts";
import { type Counter, omitEmpty, readPairs, readPressure } from "../cgroup-common/read.ts";
import { type Controller, type Setting, settingError } from "../cgroup-common/setting.ts";
import { isSet, sharesToWeight } from "../cgroup-common/values.ts";

/** What the kernel takes where none is given; microseconds. */
const DEFAULT_PERIOD = 100_000;

function weightOf({ shares }: LinuxCpu): Setting[] {
  if (!isSet(shares)) return [];
  return [{ field: "cpu.shares", file: "cpu.weight", data: String(sharesToWeight(shares)) }];
}

/** What is not set is as in `now`, which has the form of cpu.max. */
function bandwidthOf({ quota, period }: LinuxCpu, now = `max ${DEFAULT_PERIOD}`): Setting[] {
  if (!isSet(quota) && !isSet(period)) return [];
  const [quotaNow, periodNow] = now.split(" ");
  const most = isSet(quota) ? (quota > 0 ? quota : "max") : quotaNow;
  const data = `${most} ${isSet(period) ? period : periodNow}`;
  return [{ field: isSet(quota) ? "cpu.quota" : "cpu.period", file: "cpu.max", data }];
}

export const cpu: Controller = {
  name: "cpu",
  settings({ cpu }) {
    return cpu === undefined
      ? []
      : [...weightOf(cpu), ...bandwidthOf(cpu), ...burstOf(cpu, "cpu.max.burst"), ...idleOf(cpu)];
  },
  warnings({ cpu }) {
    if (!isSet(cpu?.realtimeRuntime) && !isSet(cpu?.realtimePeriod)) return [];
    return [
      "linux.resources.cpu.realtimeRuntime and realtimePeriod are ignored: cgroup v2 has nothing like them",
    ];
  },
  update(directory, { cpu }, journal) {
    if (cpu === undefined) return;
    // An idle cgroup takes no weight: out of idle first, into it last.
    const idle = idleOf(cpu);
    if (cpu.idle === 0) for (const setting of idle) journal.set(directory, setting);
    for (const setting of weightOf(cpu)) journal.set(directory, setting);
    // A larger burst needs the larger quota first, a smaller quota the smaller burst.
    const again = burstOf(cpu, "cpu.max.burst").filter((setting) => {
      const errno = journal.attempt(directory, setting);
      if (errno !== 0 && errno !== ERRNO.EINVAL) throw settingError(directory, setting, errno);
      return errno !== 0;
    });
    const now = readTextIfAny(`${directory}/cpu.max`)?.trim();
    for (const setting of [...bandwidthOf(cpu, now), ...again]) journal.set(directory, setting);
    if (cpu.idle !== 0) for (const setting of idle) journal.set(directory, setting);
  },
};

/** `cpu` of the counters; nanoseconds. */
export function cpuStats(directory: string): CgroupStats {
  const stat = readPairs(directory, "cpu.stat");
  return {
    usage: {
      ...omitEmpty({ total: nanoseconds(stat.usage_usec) }),
      kernel: nanoseconds(stat.system_usec),
      user: nanoseconds(stat.user_usec),
    },
    throttling: omitEmpty({
      periods: stat.nr_periods,
      throttledPeriods: stat.nr_throttled,
      throttledTime: nanoseconds(stat.throttled_usec),
    }),
    ...omitEmpty({ psi: readPressure(directory, "cpu.pressure") }),
  };
}

function nanoseconds(microseconds: Counter | undefined): Counter {
  const value = BigInt(microseconds ?? 0) * 1000n;
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
