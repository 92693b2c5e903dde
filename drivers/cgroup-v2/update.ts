/**
 * Changing what a running container is held to, on v2.
 */
import { readTextIfAny, statusOf } from "../../src/kernel/file.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { changeLimits } from "../cgroup-common/journal.ts";
import type { Journal } from "../cgroup-common/setting.ts";
import { attachDevices } from "./devices.ts";
import { enableControllers } from "./enable.ts";
import { CONTROLLERS, networkWarnings, wantedBy } from "./plan.ts";
import { unifiedSettings } from "./unified.ts";

/**
 * Writes what is given, all of it or nothing; what is left out stays as it is. Devices come last: their program takes
 * the place of the one before in one step, and where it is refused the limits go back. Returns what is ignored, and why.
 */
export function updateUnified(directory: string, resources: LinuxResources): string[] {
  changeLimits((journal) => {
    updateLimits(journal, directory, resources);
    if (resources.devices !== undefined)
      attachDevices({ directory, policy: devicePolicy(resources.devices) });
  });
  return unifiedWarnings(resources);
}

/** What of it is ignored, and why. */
export function unifiedWarnings(resources: LinuxResources): string[] {
  const ignored = CONTROLLERS.flatMap((controller) => controller.warnings?.(resources) ?? []);
  return [...ignored, ...networkWarnings(resources)];
}

/** The same without devices, as a part of a larger change. */
export function updateLimits(journal: Journal, directory: string, resources: LinuxResources): void {
  const unified = unifiedSettings(resources);
  // What makes no sense is refused before anything is written.
  const wanted = wantedBy(resources);
  // Where the container was made nobody may have needed what is needed now, or it could not be had then.
  const enabled = (readTextIfAny(`${directory}/cgroup.controllers`) ?? "").trim().split(" ");
  if (wanted.some(({ controller }) => !enabled.includes(controller)))
    enableControllers({ mountPoint: topOf(directory), directory, all: false, wanted });
  for (const controller of CONTROLLERS) {
    if (controller.update !== undefined) controller.update(directory, resources, journal);
    else for (const setting of controller.settings(resources)) journal.set(directory, setting);
  }
  for (const { setting } of unified) journal.set(directory, setting);
}

/** The mount point of the tree: the last directory on the way up that is one of its cgroups. */
function topOf(directory: string): string {
  const above = directory.slice(0, directory.lastIndexOf("/"));
  return above === "" || statusOf(`${above}/cgroup.controllers`) === undefined ? directory : topOf(above);
}
