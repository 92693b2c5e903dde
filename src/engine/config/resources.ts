/**
 * A container's limits as linux.resources, apart from rules for devices.
 * Not here: flags (limit-flags.ts), or cgroups (drivers).
 */
import type { LinuxResources } from "../../spec/runtime/config.ts";
import type { HostLimits } from "../record.ts";
import { CPU_PERIOD } from "./size.ts";

/** The part of linux.resources that limits make. */
export type LimitResources = Pick<LinuxResources, "memory" | "cpu" | "pids" | "blockIO">;

/** What else it takes. */
export interface ResourceHost {
  /** Whether the kernel counts swap for a cgroup. */
  readonly swapLimit: boolean;
  /** Numbers of the disk at a path. @throws CtrError that names the flag. */
  diskAt(path: string, flag: string): { readonly major: number; readonly minor: number };
}

/** Nanoseconds of `--cpus` in a microsecond of quota. */
const NANO_PER_QUOTA = 1_000_000_000 / CPU_PERIOD;

/** What is not set is left out. */
export function limitResources(limits: HostLimits, host: ResourceHost): LimitResources {
  const { nanoCpus } = limits;
  const quota = nanoCpus ? Math.round(nanoCpus / NANO_PER_QUOTA) : limits.cpuQuota;
  return defined({
    memory: section({
      limit: limits.memory || undefined,
      swap: host.swapLimit ? limits.memorySwap || undefined : undefined,
      reservation: limits.memoryReservation || undefined,
      swappiness: limits.memorySwappiness,
      disableOOMKiller: limits.oomKillDisable === true ? true : undefined,
    }),
    cpu: section({
      shares: limits.cpuShares || undefined,
      quota: quota || undefined,
      period: nanoCpus ? CPU_PERIOD : limits.cpuPeriod || undefined,
      realtimeRuntime: limits.cpuRealtimeRuntime || undefined,
      realtimePeriod: limits.cpuRealtimePeriod || undefined,
      cpus: limits.cpusetCpus || undefined,
      mems: limits.cpusetMems || undefined,
    }),
    pids: section({ limit: limits.pidsLimit || undefined }),
    blockIO: blockIO(limits, host),
  });
}

function blockIO(limits: HostLimits, host: ResourceHost): LimitResources["blockIO"] {
  const rates = (list: HostLimits["blkioDeviceReadBps"], flag: string) =>
    list?.map(({ path, rate }) => ({ ...host.diskAt(path, flag), rate }));
  return section({
    weight: limits.blkioWeight || undefined,
    weightDevice: limits.blkioWeightDevice?.map(({ path, weight }) => ({
      ...host.diskAt(path, "--blkio-weight-device"),
      weight,
    })),
    throttleReadBpsDevice: rates(limits.blkioDeviceReadBps, "--device-read-bps"),
    throttleWriteBpsDevice: rates(limits.blkioDeviceWriteBps, "--device-write-bps"),
    throttleReadIOPSDevice: rates(limits.blkioDeviceReadIOps, "--device-read-iops"),
    throttleWriteIOPSDevice: rates(limits.blkioDeviceWriteIOps, "--device-write-iops"),
  });
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function section<T extends object>(fields: T): T | undefined {
  const kept = defined(fields);
  return Object.keys(kept).length === 0 ? undefined : kept;
}
