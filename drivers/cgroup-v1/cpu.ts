/**
 * The v1 cpu controller (and the counters of cpuacct): `linux.resources.cpu`, without the CPUs and memory nodes to run
 * on (cpuset.ts). Source: Documentation/scheduler/sched-bwc.rst, sched-rt-group.rst.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";
import type { LinuxCpu } from "../../src/spec/runtime/resources.ts";
import { burstOf } from "../cgroup-common/burst.ts";
import { idleOf } from "../cgroup-common/idle.ts";
import { counter, omitEmpty, readCounter, readPairs } from "../cgroup-common/read.ts";
import {
  badValue,
  type Controller,
  type Journal,
  type Setting,
  settingError,
} from "../cgroup-common/setting.ts";
import { isSet } from "../cgroup-common/values.ts";

/** MIN_SHARES and MAX_SHARES of kernel/sched/sched.h: the kernel would silently take the nearer one. */
const [LEAST_SHARES, MOST_SHARES] = [2, 262144];
const NO_REALTIME = {
  ENOENT: "this kernel has no CONFIG_RT_GROUP_SCHED",
  EINVAL: "the cgroups above must have been given realtime runtime first (cpu.rt_runtime_us)",
};

/** USER_HZ, the unit of cpuacct.stat: 100 on every architecture. */
const NANOSECONDS_PER_TICK = 10_000_000;

function sharesOf({ shares }: LinuxCpu): Setting[] {
  if (!isSet(shares)) return [];
  if (shares < LEAST_SHARES)
    throw badValue("cpu.shares", `the minimum allowed cpu-shares is ${LEAST_SHARES}`);
  if (shares > MOST_SHARES) throw badValue("cpu.shares", `the maximum allowed cpu-shares is ${MOST_SHARES}`);
  return [{ field: "cpu.shares", file: "cpu.shares", data: String(shares) }];
}

function bandwidthOf(cpu: LinuxCpu): Setting[] {
  const { period, quota } = cpu;
  const settings: Setting[] = [];
  if (isSet(period)) settings.push({ field: "cpu.period", file: "cpu.cfs_period_us", data: String(period) });
  if (isSet(quota)) settings.push({ field: "cpu.quota", file: "cpu.cfs_quota_us", data: String(quota) });
  return [...settings, ...burstOf(cpu, "cpu.cfs_burst_us")];
}

function realtimeOf({ realtimePeriod, realtimeRuntime }: LinuxCpu): Setting[] {
  const settings: Setting[] = [];
  if (isSet(realtimePeriod)) {
    settings.push({
      field: "cpu.realtimePeriod",
      file: "cpu.rt_period_us",
      data: String(realtimePeriod),
      hints: NO_REALTIME,
    });
  }
  if (isSet(realtimeRuntime)) {
    settings.push({
      field: "cpu.realtimeRuntime",
      file: "cpu.rt_runtime_us",
      data: String(realtimeRuntime),
      hints: NO_REALTIME,
    });
  }
  return settings;
}

export const cpu: Controller = {
  name: "cpu",
  settings({ cpu }) {
    if (cpu === undefined) return [];
    return [...realtimeOf(cpu), ...sharesOf(cpu), ...bandwidthOf(cpu), ...idleOf(cpu)];
  },
  update(directory, { cpu }, journal) {
    if (cpu === undefined) return;
    // An idle cgroup takes no shares: out of idle first, into it last.
    if (cpu.idle === 0) for (const setting of idleOf(cpu)) journal.set(directory, setting);
    for (const setting of sharesOf(cpu)) journal.set(directory, setting);
    writeUntilFit(journal, directory, bandwidthOf(cpu));
    writeUntilFit(journal, directory, realtimeOf(cpu));
    if (cpu.idle !== 0) for (const setting of idleOf(cpu)) journal.set(directory, setting);
  },
};

/**
 * Writes settings of which each must fit the others (period, quota, burst): what the kernel refuses with EINVAL is
 * tried again after the others, and is an error when it still does not fit.
 */
function writeUntilFit(journal: Journal, directory: string, settings: readonly Setting[]): void {
  let left = settings;
  while (left.length > 0) {
    const refused = left.filter((setting) => {
      const errno = journal.attempt(directory, setting);
      if (errno !== 0 && errno !== ERRNO.EINVAL) throw settingError(directory, setting, errno);
      return errno !== 0;
    });
    const [first] = refused;
    if (first !== undefined && refused.length === left.length)
      throw settingError(directory, first, ERRNO.EINVAL);
    left = refused;
  }
}

/** `cpu` of the counters; nanoseconds. */
export function cpuStats(cpuDirectory: string | undefined, cpuacct: string | undefined): CgroupStats {
  const stat = cpuDirectory === undefined ? {} : readPairs(cpuDirectory, "cpu.stat");
  return {
    usage: cpuacct === undefined ? { kernel: 0, user: 0 } : usage(cpuacct),
    throttling: omitEmpty({
      periods: stat.nr_periods,
      throttledPeriods: stat.nr_throttled,
      throttledTime: stat.throttled_time,
    }),
  };
}

function usage(directory: string): CgroupStats {
  const total = readCounter(directory, "cpuacct.usage") ?? 0;
  const percpu = (readTextIfAny(`${directory}/cpuacct.usage_percpu`) ?? "").trim().split(" ").filter(Boolean);
  const percpu_kernel: unknown[] = [];
  const percpu_user: unknown[] = [];
  const all = (readTextIfAny(`${directory}/cpuacct.usage_all`) ?? "").trim().split("\n");
  for (const line of all.slice(1)) {
    const [, user, system] = line.split(" ");
    percpu_user.push(counter(user));
    percpu_kernel.push(counter(system));
  }
  const ticks = readPairs(directory, "cpuacct.stat");
  return {
    ...omitEmpty({ total, percpu: percpu.map(counter), percpu_kernel, percpu_user }),
    kernel: Number(ticks.system ?? 0) * NANOSECONDS_PER_TICK,
    user: Number(ticks.user ?? 0) * NANOSECONDS_PER_TICK,
  };
}
