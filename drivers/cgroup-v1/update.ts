/**
 * Changing what a running container is held to, on v1 and, for what only that has, in the cgroup2 tree beside it.
 */
import { readText } from "../../src/kernel/file.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { changeLimits } from "../cgroup-common/journal.ts";
import type { Journal, KernelVersion } from "../cgroup-common/setting.ts";
import { attachDevices } from "../cgroup-v2/devices.ts";
import { updateLimits } from "../cgroup-v2/update.ts";
import { deviceLines, updateDevices } from "./devices.ts";
import { UNIFIED } from "./join.ts";
import { CONTROLLERS, partElsewhere } from "./plan.ts";

/**
 * Writes what is given, all of it or nothing; what is left out stays as it is. Devices come last: where
 * they are refused, the limits go back. Returns what is ignored, and why.
 */
export function updateLegacy(paths: Readonly<Record<string, string>>, resources: LinuxResources): string[] {
  changeLimits((journal) => {
    changeLegacy(journal, paths, resources);
    changeDevices(paths, resources);
  });
  return legacyWarnings(paths, resources);
}

/** What of it is ignored, and why. */
export function legacyWarnings(paths: Readonly<Record<string, string>>, resources: LinuxResources): string[] {
  const kernel = kernelFor(resources);
  return CONTROLLERS.flatMap((controller) =>
    paths[controller.name] === undefined ? [] : (controller.warnings?.(resources, kernel) ?? []),
  );
}

/** The same without devices, as a part of a larger change. */
export function changeLegacy(
  journal: Journal,
  paths: Readonly<Record<string, string>>,
  resources: LinuxResources,
): void {
  const kernel = kernelFor(resources);
  const unified = paths[UNIFIED];
  // What makes no sense, or has nowhere to go, is refused before anything is written.
  const elsewhere = partElsewhere(resources, paths, unified !== undefined, resources.devices !== undefined);
  for (const controller of CONTROLLERS) controller.settings(resources, kernel);
  if (paths.devices !== undefined) deviceLines(resources.devices);
  for (const controller of CONTROLLERS) {
    const directory = paths[controller.name];
    if (directory === undefined) continue;
    if (controller.update !== undefined) controller.update(directory, resources, journal, kernel);
    else for (const setting of controller.settings(resources)) journal.set(directory, setting);
  }
  if (unified !== undefined && elsewhere !== undefined) updateLimits(journal, unified, elsewhere);
}

/** Devices alone, as the last part of a larger change. */
export function changeDevices(paths: Readonly<Record<string, string>>, { devices }: LinuxResources): void {
  const unified = paths[UNIFIED];
  if (devices !== undefined && paths.devices !== undefined) updateDevices(paths.devices, devices);
  else if (devices !== undefined && unified !== undefined) {
    attachDevices({ directory: unified, policy: devicePolicy(devices) });
  }
}

function kernelFor({ memory }: LinuxResources): KernelVersion | undefined {
  return memory?.kernel === undefined ? undefined : runningKernel();
}

/** Of uname -r; read only where a limit depends on it. */
function runningKernel(): KernelVersion {
  const [major = 0, minor = 0] = readText("/proc/sys/kernel/osrelease").split(".").map(Number);
  return [major, minor];
}
