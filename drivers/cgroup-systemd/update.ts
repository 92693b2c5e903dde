/**
 * Changing what a running container is held to: files, where the kernel may refuse, then systemd's properties, and then
 * the files again, since systemd rounds. All of it or nothing.
 */
import { asCtrError, fail } from "../../src/error.ts";
import { statusOf } from "../../src/kernel/file.ts";
import type { Systemd, UnitProperty } from "../../src/kernel/systemd.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { changeLimits, withStuck } from "../cgroup-common/journal.ts";
import { cgroupV1Driver } from "../cgroup-v1/driver.ts";
import { changeDevices, changeLegacy, legacyWarnings } from "../cgroup-v1/update.ts";
import { UNIFIED } from "../cgroup-v2/plan.ts";
import { unifiedWarnings, updateLimits } from "../cgroup-v2/update.ts";
import { NO_UNIT, needProperties, withSystemd } from "./act.ts";
import { deviceProperties } from "./devices.ts";
import { hasEnded } from "./guests.ts";
import { heldFiles, holdAgain, stuckFiles } from "./held.ts";
import { legacyProperties, property, tasksProperties, unifiedProperties } from "./properties.ts";
import { asksForWeights, bandwidthHeld, weightsHeld } from "./read-back.ts";
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

function changeUnit(paths: Paths, resources: LinuxResources): void {
  withSystemd((systemd) => changeWith(systemd, paths, resources));
}

/** What the kernel says of a file of a cgroup that was removed, by its path and by a descriptor from before. */
const REMOVED: ReadonlySet<string> = new Set(["ENOENT", "ENODEV"]);

/**
 * Files, properties and devices. With any property systemd writes all files of the unit anew, as far as it knows their
 * values and in its own grain: they are written once more behind it.
 *
 * The change itself may end the container (`cgroup.kill`, a device that it cannot be without), and its unit then goes
 * before all is done. That is no error: where an empty cgroup stays, as without systemd, it is none either.
 */
export function changeWith(systemd: Systemd, paths: Paths, resources: LinuxResources): void {
  const directory = anyDirectory(paths);
  const { unit, kind } = unitOf(directory);
  const unified = isUnified(paths);
  const version = systemd.version();
  const properties = [
    ...(resources.devices === undefined
      ? []
      : deviceProperties(devicePolicy(resources.devices), paths.devices !== undefined)),
    ...(unified ? unifiedProperties : legacyProperties)(resources, version),
    ...tasksProperties(resources).last,
  ];
  const wasThere = statusOf(directory) !== undefined;
  const original = heldFiles(paths);
  let before: UnitProperty[] | undefined;
  try {
    changeLimits((journal) => {
      if (unified) updateLimits(journal, directory, resources);
      else changeLegacy(journal, paths, resources);
      const all = [
        ...properties,
        ...bandwidthHeld(resources, paths, version),
        ...(unified && asksForWeights(resources) ? weightsHeld(directory) : []),
      ];
      if (all.length === 0) return;
      const files = heldFiles(paths);
      before = propertiesNow(systemd, unit, kind, all);
      needProperties(systemd, unit, all);
      holdAgain(files);
      // With them there are always properties.
      changeDevices(paths, resources);
    });
  } catch (thrown) {
    const { code, errno = "" } = asCtrError(thrown);
    const isGone = code === NO_UNIT || REMOVED.has(errno);
    if (wasThere && isGone && hasEnded(systemd, unit)) return;
    if (before === undefined) throw thrown;
    const stuck: string[] = [];
    try {
      needProperties(systemd, unit, before);
    } catch {
      stuck.push(`what systemd has for ${unit}`);
    }
    throw withStuck(thrown, [...stuck, ...stuckFiles(original)]);
  }
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
