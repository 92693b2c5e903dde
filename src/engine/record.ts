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
      memory: v.number(),
      memorySwap: v.number(),
      cpuQuota: v.number(),
      pidsLimit: v.number(),
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
