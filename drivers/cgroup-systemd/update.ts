/**
 * Changing what a running container is held to: files, where the kernel may refuse, then systemd's properties, and then
 * the files again, since systemd rounds. All of it or nothing.
 */
import { fail } from "../../src/error.ts";
import type { Systemd, UnitProperty } from "../../src/kernel/systemd.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { changeLimits } from "../cgroup-common/journal.ts";
import type { Journal } from "../cgroup-common/setting.ts";
import { cgroupV1Driver } from "../cgroup-v1/driver.ts";
import { changeDevices, changeLegacy, legacyWarnings } from "../cgroup-v1/update.ts";
import { UNIFIED } from "../cgroup-v2/plan.ts";
import { unifiedWarnings, updateLimits } from "../cgroup-v2/update.ts";
import { withSystemd } from "./act.ts";
import { deviceProperties } from "./devices.ts";
import { legacyProperties, property, tasksProperties, unifiedProperties } from "./properties.ts";
import { unitOf } from "./unit.ts";

type Paths = Readonly<Record<string, string>>;

/** Whether a container's cgroup is in a cgroup2 tree alone. */
export function isUnified(paths: Paths): boolean {
  return Object.keys(paths).length === 1 && paths[UNIFIED] !== undefined;
}

/** Of any of a container's cgroups, which have the same path in every hierarchy. */
export function anyDirectory(paths: Paths): string {
  const directory = paths[UNIFIED] ?? Object.values(paths)[0];
  if (directory === undefined) throw fail({ code: "CGROUP", message: "the container has no cgroup" });
  return directory;
}

/** Returns what is ignored, and why. */
export function updateUnit(paths: Paths, resources: LinuxResources): string[] {
  const change = (): void => changeUnit(paths, resources);
  if (isUnified(paths)) {
    change();
    return unifiedWarnings(resources);
  }
  if (resources.devices === undefined) change();
  else heldStill(paths, change);
  return legacyWarnings(paths, resources);
}

/** On v1 systemd takes all devices away for a moment, which a process must not see. */
function heldStill(paths: Paths, change: () => void): void {
  const wasFrozen = cgroupV1Driver.isFrozen(paths);
  if (!wasFrozen) cgroupV1Driver.freeze(paths);
  try {
    change();
  } finally {
    if (!wasFrozen) cgroupV1Driver.thaw(paths);
  }
}

/** Files, properties and devices. */
function changeUnit(paths: Paths, resources: LinuxResources): void {
  const directory = anyDirectory(paths);
  const { unit, kind } = unitOf(directory);
  const unified = isUnified(paths);
  const write = (journal: Journal, limits: LinuxResources): void =>
    unified ? updateLimits(journal, directory, limits) : changeLegacy(journal, paths, limits);
  withSystemd((systemd) => {
    const version = systemd.version();
    const properties = [
      ...(resources.devices === undefined
        ? []
        : deviceProperties(devicePolicy(resources.devices), paths.devices !== undefined)),
      ...(unified ? unifiedProperties : legacyProperties)(resources, version),
      ...tasksProperties(resources).last,
    ];
    changeLimits((journal) => {
      write(journal, resources);
      if (properties.length === 0) return;
      const before = propertiesNow(systemd, unit, kind, properties);
      systemd.setProperties(unit, properties);
      try {
        write(journal, rounded(resources));
        // With them there are always properties.
        changeDevices(paths, resources);
      } catch (error) {
        systemd.setProperties(unit, before);
        throw error;
      }
    });
  });
}

/** Of the limits those that systemd does not hold exactly. */
function rounded({ cpu, pids, blockIO, unified = {} }: LinuxResources): LinuxResources {
  const { quota, period, burst } = cpu ?? {};
  const files = Object.entries(unified).filter(([file]) =>
    /^(cpu\.max|cpu\.max\.burst|pids\.max)$/.test(file),
  );
  return { cpu: { quota, period, burst }, pids, blockIO, unified: Object.fromEntries(files) };
}

/** The same properties with the values that they have now. */
function propertiesNow(
  systemd: Systemd,
  unit: string,
  kind: string,
  properties: readonly UnitProperty[],
): UnitProperty[] {
  const now = systemd.unitProperties(unit, kind, [...new Set(properties.map(([name]) => name))]);
  return [...now].flatMap(([name, value]): UnitProperty[] => {
    // A list is added to, but for the empty one, which takes away what was there.
    const clear = value.signature.startsWith("a(") ? [property(name, value.signature, [])] : [];
    return [...clear, [name, value]];
  });
}
