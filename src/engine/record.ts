/**
 * A container as it is kept on disk: container.json in the container's directory. All that `ps` and `inspect` tell
 * is here or in the runtime's state. Not here: reading and writing it (containers.ts).
 */
import * as v from "valibot";
import { lazy, map, object, optional } from "../spec/builders.ts";

const texts = v.array(v.string());

/** A mount as `inspect` shows it. */
export const MountRecord = lazy(() =>
  object({
    type: v.picklist(["bind", "volume", "tmpfs"]),
    source: v.string(),
    destination: v.string(),
    readonly: v.boolean(),
    propagation: v.string(),
  }),
);
export type MountRecord = v.InferOutput<typeof MountRecord>;

/** A weight for a disk by the path of its device, or a rate: bytes or operations a second. */
const WeightOfDevice = lazy(() => object({ path: v.string(), weight: v.number() }));
const RateOfDevice = lazy(() => object({ path: v.string(), rate: v.number() }));

const number = optional(v.number());
const rates = optional(v.array(RateOfDevice));

/**
 * Limits under the names of Docker's HostConfig; what is left out, 0 or empty is not set. Bytes and microseconds, but
 * for `nanoCpus`; -1 is no limit. Of `nanoCpus` and `cpuQuota` with `cpuPeriod` there is one at most.
 */
const LIMITS = {
  memory: number,
  memorySwap: number,
  memoryReservation: number,
  /** 0 is a value here. */
  memorySwappiness: number,
  oomKillDisable: optional(v.boolean()),
  nanoCpus: number,
  cpuShares: number,
  cpuQuota: number,
  cpuPeriod: number,
  cpuRealtimePeriod: number,
  cpuRealtimeRuntime: number,
  cpusetCpus: optional(v.string()),
  cpusetMems: optional(v.string()),
  pidsLimit: number,
  blkioWeight: number,
  blkioWeightDevice: optional(v.array(WeightOfDevice)),
  blkioDeviceReadBps: rates,
  blkioDeviceWriteBps: rates,
  blkioDeviceReadIOps: rates,
  blkioDeviceWriteIOps: rates,
} as const;
export const HostLimits = lazy(() => object(LIMITS));
export type HostLimits = v.InferOutput<typeof HostLimits>;

/** Times are RFC 3339; sizes bytes. */
export const ContainerRecord = lazy(() =>
  object({
    version: v.literal(1),
    id: v.string(),
    name: v.string(),
    created: v.string(),
    image: object({ reference: v.string(), id: v.string(), manifest: v.string() }),
    snapshotter: v.string(),
    platform: v.string(),
    config: object({
      hostname: v.string(),
      user: v.string(),
      /** Without HOME, unless someone set it. */
      env: texts,
      entrypoint: optional(texts),
      cmd: texts,
      workingDir: v.string(),
      labels: map(v.string()),
      stopSignal: optional(v.string()),
      tty: v.boolean(),
      interactive: v.boolean(),
    }),
    host: object({
      network: v.string(),
      autoRemove: v.boolean(),
      init: v.boolean(),
      privileged: v.boolean(),
      readonlyRoot: v.boolean(),
      capAdd: texts,
      capDrop: texts,
      securityOpt: texts,
      binds: texts,
      tmpfs: texts,
      dns: texts,
      extraHosts: texts,
      oomScoreAdj: number,
      cgroupManager: optional(v.picklist(["cgroupfs", "systemd", "disabled"])),
      cgroupParent: optional(v.string()),
      /** Whether the container has a cgroup namespace of its own: `private`, else `host`. */
      cgroupnsMode: optional(v.picklist(["host", "private"])),
      cgroupConf: optional(map(v.string())),
      deviceCgroupRules: optional(texts),
      ...LIMITS,
    }),
    mounts: v.array(MountRecord),
    state: object({
      status: v.picklist(["created", "running", "exited"]),
      pid: v.number(),
      startedAt: optional(v.string()),
      finishedAt: optional(v.string()),
      exitCode: v.number(),
      oomKilled: v.boolean(),
      error: v.string(),
    }),
  }),
);
export type ContainerRecord = v.InferOutput<typeof ContainerRecord>;
