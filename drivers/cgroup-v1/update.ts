/**
 * Changing what a running container is held to, on v1 and, for what only that has, in the cgroup2 tree beside it.
 */
import { readText } from "../../src/kernel/file.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { changeLimits } from "../cgroup-common/journal.ts";
import type { KernelVersion } from "../cgroup-common/setting.ts";
import { attachDevices } from "../cgroup-v2/devices.ts";
import { updateLimits } from "../cgroup-v2/update.ts";
import { updateDevices } from "./devices.ts";
import { UNIFIED } from "./join.ts";
import { CONTROLLERS, partElsewhere } from "./plan.ts";

/**
 * Writes what is given, all of it or nothing; what is left out stays as it is. Devices come last, and are not put back
 * when the kernel refuses one of them half-way. Returns what is ignored, and why.
 */
export function updateLegacy(paths: Readonly<Record<string, string>>, resources: LinuxResources): string[] {
  const { devices } = resources;
  const kernel = resources.memory?.kernel === undefined ? undefined : runningKernel();
  const unified = paths[UNIFIED];
  // What makes no sense, or has nowhere to go, is refused before anything is written.
  const elsewhere = partElsewhere(resources, paths, unified !== undefined, devices !== undefined);
  for (const controller of CONTROLLERS) controller.settings(resources, kernel);
  changeLimits((journal) => {
    for (const controller of CONTROLLERS) {
      const directory = paths[controller.name];
      if (directory === undefined) continue;
      if (controller.update !== undefined) controller.update(directory, resources, journal, kernel);
      else for (const setting of controller.settings(resources)) journal.set(directory, setting);
    }
    if (unified !== undefined && elsewhere !== undefined) updateLimits(journal, unified, elsewhere);
  });
  if (devices !== undefined && paths.devices !== undefined) updateDevices(paths.devices, devices);
  else if (devices !== undefined && unified !== undefined) {
    attachDevices({ directory: unified, policy: devicePolicy(devices) });
  }
  return CONTROLLERS.flatMap((controller) =>
    paths[controller.name] === undefined ? [] : (controller.warnings?.(resources, kernel) ?? []),
  );
}

/** Of uname -r; read only where a limit depends on it. */
function runningKernel(): KernelVersion {
  const [major = 0, minor = 0] = readText("/proc/sys/kernel/osrelease").split(".").map(Number);
  return [major, minor];
}
