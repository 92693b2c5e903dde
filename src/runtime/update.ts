/**
 * OCI update: other limits for a container that is there. What was asked for is kept in its record, so that a later
 * update knows the limits that belong together (memory and swap, quota and period), as in runc since 1.2.
 */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import type { LinuxIntelRdt } from "../spec/runtime/config.ts";
import type { LinuxResources } from "../spec/runtime/resources.ts";
import { meansNoProcess } from "../spec/version.ts";
import { whileAlone } from "./lock.ts";
import { type ContainerRecord, needRecord, statusOfRecord, writeRecord } from "./state.ts";
import { cgroupDriverOf } from "./status.ts";

export interface UpdateRequest {
  readonly root: string;
  readonly id: string;
  readonly resources: LinuxResources;
  /** For its class of resctrl; the other limits are only changed where it takes them. */
  readonly schemas?: Pick<LinuxIntelRdt, "l3CacheSchema" | "memBwSchema"> | undefined;
  /** Whether `resources.devices` takes the place of all device rules; else it is left out, with a warning. */
  readonly devices?: boolean;
  readonly registry: DriverRegistry;
  /** Gets what was ignored, and why. */
  onWarning?(message: string): void;
}

export function updateContainer(request: UpdateRequest): void {
  // Two at once would each keep its own limits in the record, and not the other's.
  whileAlone(request.root, request.id, () => update(request));
}

function update({ root, id, resources, schemas, devices, registry, onWarning }: UpdateRequest): void {
  const record = needRecord(root, id);
  if (statusOfRecord(root, record) === "stopped") {
    throw fail({ code: "WRONG_STATE", message: "container not running", hint: `${id} has stopped` });
  }
  const driver = cgroupDriverOf(record, registry, "it cannot be limited");
  const { asked, ignored } = askedFor(resources, record, devices === true);
  const classed = schemas === undefined ? undefined : resctrl().updateIntelRdt(record, schemas);
  const merged = mergeResources(record.config.linux?.resources ?? {}, asked);
  let warnings: readonly string[] | undefined;
  try {
    warnings = driver.update(record.cgroupPaths, withDependents(asked, merged));
  } catch (error) {
    classed?.undo();
    throw error;
  }
  for (const warning of [...ignored, ...(warnings ?? [])]) onWarning?.(warning);
  const { config } = record;
  const linux = {
    ...config.linux,
    resources: merged,
    ...(classed === undefined ? {} : { intelRdt: classed.intelRdt }),
  };
  writeRecord(root, { ...record, config: { ...config, linux } });
}

/** Loaded only where schemas are given. */
function resctrl(): typeof import("./resctrl.ts") {
  return require("./resctrl.ts") as typeof import("./resctrl.ts");
}

/**
 * What really changes anything. As in runc: 0 means "as it is" wherever it is no limit; no limit on memory means none on
 * memory and swap together; and devices are left alone, unless they are meant (`replaces`): engines send the whole of a
 * container's resources, and others (for GPUs) add devices behind the runtime's back, which would be taken away again.
 */
function askedFor(
  resources: LinuxResources,
  { config }: ContainerRecord,
  replaces: boolean,
): { asked: LinuxResources; ignored: string[] } {
  const { devices, memory, cpu, pids, blockIO, ...rest } = resources;
  const limits = memory === undefined ? undefined : withoutZeros(memory, ["limit", "reservation", "swap"]);
  const unlimited = limits?.limit === -1 && limits.swap === undefined;
  const times = ["shares", "quota", "period", "realtimeRuntime", "realtimePeriod"] as const;
  const asked = defined({
    ...rest,
    devices: replaces ? devices : undefined,
    memory: unlimited ? { ...limits, swap: -1 } : limits,
    cpu: cpu === undefined ? undefined : withoutZeros(cpu, times),
    pids: pids?.limit === 0 && !meansNoProcess(config.ociVersion) ? undefined : pids,
    blockIO: blockIO === undefined ? undefined : withoutZeros(blockIO, ["weight", "leafWeight"]),
  });
  const changed = !replaces && devices !== undefined && !isSame(devices, config.linux?.resources?.devices);
  const ignored = "linux.resources.devices is ignored: update changes devices with --devices alone";
  return { asked, ignored: changed ? [ignored] : [] };
}

function isSame(one: unknown, other: unknown): boolean {
  return Bun.deepEquals(one, other);
}

function withoutZeros<T extends object>(values: T, names: readonly (keyof T)[]): T {
  const kept = { ...values };
  for (const name of names) if (Number(kept[name]) === 0) delete kept[name];
  return defined(kept);
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** The stored resources with what was asked for in them, property by property. */
export function mergeResources(stored: LinuxResources, asked: LinuxResources): LinuxResources {
  const merged: Record<string, unknown> = { ...stored };
  for (const [section, value] of Object.entries(asked)) {
    const before = merged[section];
    const joins = typeof before === "object" && before !== null && !Array.isArray(before);
    merged[section] = joins && !Array.isArray(value) ? { ...before, ...defined(value as object) } : value;
  }
  return merged as LinuxResources;
}

/** What was asked for, and what depends on it and was set before. */
function withDependents(asked: LinuxResources, merged: LinuxResources): LinuxResources {
  const { memory, cpu } = asked;
  const swaps = memory?.limit !== undefined || memory?.swap !== undefined;
  const bandwidth = cpu?.quota !== undefined || cpu?.period !== undefined;
  const { limit, swap, checkBeforeUpdate } = merged.memory ?? {};
  const { quota, period, shares } = merged.cpu ?? {};
  // Out of idle the kernel gives a weight of its own.
  const weighs = cpu?.idle === 0;
  const weights = weighs ? weightsIn(merged) : {};
  return {
    ...asked,
    ...(swaps ? { memory: { ...memory, ...defined({ limit, swap, checkBeforeUpdate }) } } : {}),
    ...(bandwidth || weighs
      ? {
          cpu: {
            ...cpu,
            ...(bandwidth ? defined({ quota, period }) : {}),
            ...(weighs ? defined({ shares }) : {}),
          },
        }
      : {}),
    ...(Object.keys(weights).length === 0 ? {} : { unified: { ...weights, ...asked.unified } }),
  };
}

/** Weights for CPUs among the files. */
function weightsIn({ unified = {} }: LinuxResources): Record<string, string> {
  const kept = Object.entries(unified).filter(([file]) => /^cpu\.weight(\.nice)?$/.test(file));
  return Object.fromEntries(kept);
}
