/**
 * `linux.resources` of config.json, which is also what `update --resources` reads: limits that cgroups
 * enforce (config-linux.md, "Control groups"). Not here: how they map to cgroup files (drivers).
 */
import * as v from "valibot";
import { lazy, map, object, optional, optionalText, rule } from "../builders.ts";
import {
  consistsOf,
  FilledText,
  Flag,
  Int64,
  integer,
  oneOf,
  Text,
  Uint16,
  Uint32,
  Uint64,
} from "../scalars.ts";
import { CpuList } from "./scheduling.ts";

/**
 * -1 for all. What is as large as `(u32) -1` would mean all to the v1 controller too, and no device has such a number.
 */
const DeviceNumber = integer(-1, 4294967294);

/** One line of the list of allowed devices; left out, `type`, `major`, `minor` mean all. */
export const LinuxDeviceCgroup = lazy(() =>
  object({
    allow: Flag,
    type: optionalText(oneOf("a", "b", "c")),
    major: optional(DeviceNumber),
    minor: optional(DeviceNumber),
    access: optionalText(
      v.pipe(
        v.string(),
        v.check((access) => consistsOf(access, "rwm"), "must consist of r, w and m"),
      ),
    ),
  }),
);
export type LinuxDeviceCgroup = v.InferOutput<typeof LinuxDeviceCgroup>;

/** Bytes, -1 for no limit. `swap` is memory and swap together. */
export const LinuxMemory = lazy(() =>
  object({
    limit: optional(Int64),
    reservation: optional(Int64),
    swap: optional(Int64),
    kernel: optional(Int64),
    kernelTCP: optional(Int64),
    swappiness: optional(Uint64),
    disableOOMKiller: optional(Flag),
    useHierarchy: optional(Flag),
    checkBeforeUpdate: optional(Flag),
  }),
);
export type LinuxMemory = v.InferOutput<typeof LinuxMemory>;

/** Times in microseconds; `shares` relative to 1024. */
export const LinuxCpu = lazy(() =>
  v.pipe(
    object({
      shares: optional(Uint64),
      quota: optional(Int64),
      burst: optional(Uint64),
      period: optional(Uint64),
      realtimeRuntime: optional(Int64),
      realtimePeriod: optional(Uint64),
      cpus: optionalText(CpuList),
      mems: optionalText(CpuList),
      idle: optional(Int64),
    }),
    rule(({ quota, burst }, complain) => {
      if (quota !== undefined && burst !== undefined && quota > 0 && burst > quota) {
        complain(`must not be above the quota, ${quota}`, "burst");
      }
    }),
  ),
);
export type LinuxCpu = v.InferOutput<typeof LinuxCpu>;

/** Most tasks in the cgroup, -1 for no limit. Left out is not 0, which is a limit. */
export const LinuxPids = lazy(() => object({ limit: optional(Int64) }));
export type LinuxPids = v.InferOutput<typeof LinuxPids>;

export const LinuxWeightDevice = lazy(() =>
  v.pipe(
    object({ major: Int64, minor: Int64, weight: optional(Uint16), leafWeight: optional(Uint16) }),
    rule(({ weight, leafWeight }, complain) => {
      if (weight === undefined && leafWeight === undefined) complain("must have weight, leafWeight or both");
    }),
  ),
);
export type LinuxWeightDevice = v.InferOutput<typeof LinuxWeightDevice>;

/** `rate` in bytes or in operations a second, by the list it stands in. */
export const LinuxThrottleDevice = lazy(() => object({ major: Int64, minor: Int64, rate: Uint64 }));
export type LinuxThrottleDevice = v.InferOutput<typeof LinuxThrottleDevice>;

export const LinuxBlockIo = lazy(() => {
  const throttle = optional(v.array(LinuxThrottleDevice));
  return object({
    weight: optional(Uint16),
    leafWeight: optional(Uint16),
    weightDevice: optional(v.array(LinuxWeightDevice)),
    throttleReadBpsDevice: throttle,
    throttleWriteBpsDevice: throttle,
    throttleReadIOPSDevice: throttle,
    throttleWriteIOPSDevice: throttle,
  });
});
export type LinuxBlockIo = v.InferOutput<typeof LinuxBlockIo>;

/** `pageSize` as the kernel spells it in file names (`2MB`), `limit` in bytes. */
export const LinuxHugepageLimit = lazy(() =>
  object({
    pageSize: v.pipe(
      v.string(),
      v.check((size) => /^[1-9][0-9]*[KMG]B$/.test(size), 'must be a size such as "64KB", "2MB" or "1GB"'),
    ),
    limit: Uint64,
  }),
);
export type LinuxHugepageLimit = v.InferOutput<typeof LinuxHugepageLimit>;

/** net_cls and net_prio, which only cgroup v1 has. */
export const LinuxNetwork = lazy(() =>
  object({
    classID: optional(Uint32),
    priorities: optional(v.array(object({ name: FilledText, priority: Uint32 }))),
  }),
);
export type LinuxNetwork = v.InferOutput<typeof LinuxNetwork>;

export const LinuxRdma = lazy(() =>
  v.pipe(
    object({ hcaHandles: optional(Uint32), hcaObjects: optional(Uint32) }),
    rule(({ hcaHandles, hcaObjects }, complain) => {
      if (hcaHandles === undefined && hcaObjects === undefined) {
        complain("must have hcaHandles, hcaObjects or both");
      }
    }),
  ),
);
export type LinuxRdma = v.InferOutput<typeof LinuxRdma>;

/** The name of a file of a cgroup directory: `memory.high`. Anything with a `/` would lead elsewhere. */
const CgroupFile = v.pipe(
  FilledText,
  v.check(
    (name) => !name.includes("/") && name !== "." && name !== "..",
    "must be the name of a cgroup file",
  ),
);

export const LinuxResources = lazy(() =>
  object({
    devices: optional(v.array(LinuxDeviceCgroup)),
    memory: optional(LinuxMemory),
    cpu: optional(LinuxCpu),
    pids: optional(LinuxPids),
    blockIO: optional(LinuxBlockIo),
    hugepageLimits: optional(v.array(LinuxHugepageLimit)),
    network: optional(LinuxNetwork),
    rdma: optional(map(LinuxRdma, FilledText)),
    unified: optional(map(Text, CgroupFile)),
  }),
);
export type LinuxResources = v.InferOutput<typeof LinuxResources>;
