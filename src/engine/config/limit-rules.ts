/**
 * How limits go together, as Docker's daemon has it: what contradicts what, and what `update` may change.
 * Not here: reading one flag (limit-flags.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import type { HostLimits } from "../record.ts";
import type { LimitHost } from "./limit-flags.ts";

/** sched_rt_period_us of a host that nobody changed it on, in microseconds. */
const REALTIME_PERIOD = 1_000_000;

/** The limits of a new container. Without --memory-swap, as much swap as memory may be used. */
export function newLimits(asked: HostLimits): HostLimits {
  const { memory, memorySwap } = asked;
  if (memory === undefined && (memorySwap ?? 0) > 0) {
    throw conflict("--memory-swap", "it needs --memory", "it limits memory and swap together");
  }
  checkCpus(asked);
  const limits =
    memory === undefined || memorySwap !== undefined ? asked : { ...asked, memorySwap: memory * 2 };
  checkTogether(limits);
  return limits;
}

/** The limits of a container of which some are to be changed: those that are asked for, in those that it has. */
export function changedLimits(now: HostLimits, asked: HostLimits): HostLimits {
  const { memory, memorySwap, nanoCpus, cpuQuota, cpuPeriod } = asked;
  checkCpus(asked);
  if (nanoCpus !== undefined && (now.cpuQuota || now.cpuPeriod)) {
    const has = now.cpuQuota ? "--cpu-quota" : "--cpu-period";
    throw conflict("--cpus", `the container has ${has} already`, "change its quota: --cpu-quota");
  }
  for (const [value, flag] of [
    [cpuQuota, "--cpu-quota"],
    [cpuPeriod, "--cpu-period"],
  ] as const) {
    if (value === undefined || !now.nanoCpus) continue;
    throw conflict(flag, "the container has --cpus already", "change the number of its CPUs: --cpus");
  }
  if (memory !== undefined && memorySwap === undefined && (now.memorySwap ?? 0) > 0) {
    if (memory > (now.memorySwap ?? 0)) {
      const message = `${memory} is above the container's limit on memory and swap together, ${now.memorySwap}`;
      throw conflict("--memory", message, "change that too: --memory-swap, -1 for no limit on swap");
    }
  }
  const merged: HostLimits = { ...now, ...asked, ...mergedDevices(now, asked) };
  if (!merged.memory && (memorySwap ?? 0) > 0) {
    throw conflict("--memory-swap", "it needs --memory", "it limits memory and swap together");
  }
  checkTogether(merged);
  return merged;
}

/** What a person should know about limits that are as they asked for them. */
export function limitWarnings(limits: HostLimits, host: Pick<LimitHost, "swapLimit">): string[] {
  const warnings: string[] = [];
  if (limits.oomKillDisable === true && !limits.memory) {
    warnings.push(
      "--oom-kill-disable without --memory: the container can take all memory of this host, and is not killed for it",
    );
  }
  if (!host.swapLimit && limits.memorySwap !== undefined && limits.memorySwap > 0) {
    warnings.push("this kernel does not count swap for a cgroup: --memory-swap has no effect");
  }
  return warnings;
}

/** A number of CPUs is a quota and a period: both at once would be two of each. */
function checkCpus({ nanoCpus, cpuQuota, cpuPeriod }: HostLimits): void {
  if (nanoCpus === undefined || (cpuQuota === undefined && cpuPeriod === undefined)) return;
  const other = cpuQuota === undefined ? "--cpu-period" : "--cpu-quota";
  const hint = "--cpus 0.5 is --cpu-quota 50000 in --cpu-period 100000: give the one or the other";
  throw conflict("--cpus", `it cannot be given with ${other}`, hint);
}

/** Of disks that both name, what is asked for now counts. */
function mergedDevices(now: HostLimits, asked: HostLimits): HostLimits {
  const merged: Record<string, readonly { readonly path: string }[]> = {};
  for (const key of [
    "blkioWeightDevice",
    "blkioDeviceReadBps",
    "blkioDeviceWriteBps",
    "blkioDeviceReadIOps",
    "blkioDeviceWriteIOps",
  ] as const) {
    const [before, after] = [now[key] ?? [], asked[key] ?? []];
    const kept = before.filter(({ path }) => !after.some((other) => other.path === path));
    if (before.length + after.length > 0) merged[key] = [...kept, ...after];
  }
  return merged as HostLimits;
}

function checkTogether(limits: HostLimits): void {
  const { memory, memorySwap, memoryReservation } = limits;
  if (memory && memorySwap && memorySwap !== -1 && memorySwap < memory) {
    throw conflict("--memory-swap", `${memorySwap} is below --memory`, "it is memory and swap together");
  }
  if (memory && memoryReservation && memoryReservation > memory) {
    throw conflict("--memory-reservation", `${memoryReservation} is above --memory`, "it is the lower one");
  }
  const { cpuRealtimePeriod, cpuRealtimeRuntime } = limits;
  const period = cpuRealtimePeriod || REALTIME_PERIOD;
  if ((cpuRealtimeRuntime ?? 0) > period) {
    const message = `${cpuRealtimeRuntime} is above the period, ${period}`;
    throw conflict("--cpu-rt-runtime", message, "it is the part of each --cpu-rt-period");
  }
}

function conflict(field: string, message: string, hint: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message, hint });
}
