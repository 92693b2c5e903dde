/**
 * `update`: other limits for a container, in its cgroup if it runs, and in what is kept of it.
 * Not here: what the flags mean and what contradicts what (config/), or cgroups (drivers).
 */
import { CtrError, fail } from "../error.ts";
import { readText, replaceFile } from "../kernel/file.ts";
import { updateContainer as updateCgroup } from "../runtime/lifecycle.ts";
import { writeJson } from "../spec/json.ts";
import { parseJson } from "../spec/parse.ts";
import { RuntimeConfig } from "../spec/runtime/config.ts";
import { kernelMemoryWarnings, type LimitFlags, parseLimits } from "./config/limit-flags.ts";
import { changedLimits, limitWarnings } from "./config/limit-rules.ts";
import { type LimitResources, limitResources } from "./config/resources.ts";
import { containerDirectory, findContainer, isBeingMade, updateRecord } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { inFlags, warningInFlags } from "./flag-fields.ts";
import { limitHost } from "./limit-host.ts";
import type { ContainerRecord, HostLimits } from "./record.ts";
import { containerStatus } from "./status.ts";

/** The flags of `update`. */
export interface UpdateFlags extends LimitFlags {
  readonly restart: string | undefined;
}

/** Other limits, read and judged as far as no container is looked at. */
export interface LimitUpdate {
  readonly asked: HostLimits;
}

/** Reads the flags; warnings are told. @throws CtrError that names the flag. */
export function readUpdate(engine: Engine, flags: UpdateFlags): LimitUpdate {
  if (flags.restart !== undefined) {
    throw fail({
      code: "UNSUPPORTED",
      field: "--restart",
      message: "containers are not restarted: the monitor that would do it does not exist yet",
      hint: "leave it out; the other flags are carried out",
    });
  }
  for (const warning of kernelMemoryWarnings(flags)) engine.warn(warning);
  return { asked: parseLimits(flags, limitHost(engine.host)) };
}

/** Changes one container. @throws CtrError NOT_FOUND; what the kernel refuses, which then changes nothing. */
export function updateLimits(engine: Engine, text: string, { asked }: LimitUpdate): void {
  const record = findContainer(engine.settings.store, text);
  const { id } = record;
  if (isBeingMade(engine.settings.store, id)) {
    throw fail({
      code: "IN_USE",
      message: `cannot update container ${text}: it is being created`,
      hint: "try again when it runs",
    });
  }
  if (record.host.cgroupManager === "disabled") {
    throw fail({
      code: "CGROUP",
      message: `container ${text} has no cgroup, so it cannot be limited`,
      hint: "it was made with --cgroups disabled",
    });
  }
  const host = limitHost(engine.host);
  // What is wrong is told before the cgroup has changed.
  const planned = changedLimits(record.host, asked);
  limitResources(planned, host);
  for (const warning of limitWarnings(planned, host)) engine.warn(warning);
  changeCgroup(engine, record, limitResources(asked, host));
  updateRecord(engine.settings.store, id, (now) => {
    const limits = changedLimits(now.host, asked);
    changeConfig(engine, id, limitResources(limits, host));
    return { ...now, host: { ...now.host, ...limits } };
  });
}

/** A container that has ended, or ends meanwhile, has no cgroup to change. */
function changeCgroup(engine: Engine, record: ContainerRecord, resources: LimitResources): void {
  if (containerStatus(engine, record).status !== "running") return;
  const { stateRoot: root, registry } = engine;
  try {
    updateCgroup({
      root,
      id: record.id,
      resources,
      registry,
      onWarning: (message) => engine.warn(warningInFlags(message, record.host)),
    });
  } catch (error) {
    const hasEnded = error instanceof CtrError && /^(WRONG_STATE|NO_CONTAINER)$/.test(error.code);
    if (!hasEnded) throw inFlags(error, { mounts: [], requests: [], limits: record.host });
  }
}

/** What the container's next start goes by. */
function changeConfig(engine: Engine, id: string, limits: LimitResources): void {
  const path = `${containerDirectory(engine.settings.store, id)}/config.json`;
  const config = parseJson(RuntimeConfig, readText(path), "config.json");
  const linux = { ...config.linux, resources: { ...config.linux?.resources, ...limits } };
  replaceFile(path, new TextEncoder().encode(writeJson({ ...config, linux }, 2)), 0o600);
}
