/**
 * The record of a container that was just made. Not here: its shape (record.ts).
 */
import { formatPlatform } from "../image/platform.ts";
import type { PulledImage } from "../image/pull.ts";
import type { Asked } from "./asked.ts";
import { mergeLabels } from "./config/labels.ts";
import type { MountRequest } from "./config/mount-flags.ts";
import type { ContainerRecord } from "./record.ts";

/** What a record is made of. */
export interface RecordParts {
  readonly id: string;
  readonly name: string;
  /** As the person called the image. */
  readonly reference: string;
  readonly image: PulledImage;
  readonly snapshotter: string;
  readonly asked: Asked;
  readonly hostname: string;
  readonly user: string;
  readonly env: readonly string[];
  readonly args: readonly string[];
  readonly entrypoint: readonly string[] | undefined;
  readonly cwd: string;
  readonly mounts: readonly MountRequest[];
}

export function newRecord(parts: RecordParts): ContainerRecord {
  const { asked, image, entrypoint } = parts;
  const { flags, cgroup } = asked;
  const defaults = image.config.config ?? {};
  const stopSignal = flags["stop-signal"] ?? defaults.StopSignal;
  const hasEntrypoint = entrypoint !== undefined && entrypoint.length > 0 && entrypoint[0] !== "";
  return {
    version: 1,
    id: parts.id,
    name: parts.name,
    created: new Date().toISOString(),
    image: { reference: parts.reference, id: image.id, manifest: image.manifest.digest },
    snapshotter: parts.snapshotter,
    platform: formatPlatform(image.config),
    config: {
      hostname: parts.hostname,
      user: parts.user,
      env: [...parts.env],
      entrypoint: hasEntrypoint ? [...entrypoint] : undefined,
      cmd: parts.args.slice(hasEntrypoint ? entrypoint.length : 0),
      workingDir: parts.cwd,
      labels: mergeLabels(defaults.Labels ?? {}, flags.label),
      stopSignal,
      tty: flags.tty,
      interactive: flags.interactive,
    },
    host: {
      network:
        asked.network.kind === "container" ? `container:${asked.network.container}` : asked.network.kind,
      autoRemove: flags.rm,
      init: flags.init,
      privileged: flags.privileged,
      readonlyRoot: flags["read-only"],
      capAdd: [...flags["cap-add"]],
      capDrop: [...flags["cap-drop"]],
      securityOpt: [...flags["security-opt"]],
      binds: [...flags.volume],
      tmpfs: [...flags.tmpfs],
      dns: [...asked.dns],
      extraHosts: [...flags["add-host"]],
      oomScoreAdj: asked.oomScoreAdj,
      cgroupManager: cgroup.manager,
      cgroupParent: cgroup.parent,
      cgroupnsMode: cgroup.namespace,
      cgroupConf: { ...cgroup.conf },
      deviceCgroupRules: [...flags["device-cgroup-rule"]],
      ...asked.limits,
    },
    mounts: parts.mounts.map(({ type, source = "", target, readonly, propagation }) => ({
      type,
      source,
      destination: target,
      readonly,
      propagation: type === "bind" ? propagation : "",
    })),
    state: {
      status: "created",
      pid: 0,
      startedAt: undefined,
      finishedAt: undefined,
      exitCode: 0,
      oomKilled: false,
      error: "",
    },
  };
}
