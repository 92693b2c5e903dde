/**
 * Changing what a running container is held to, on v2.
 */
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { writeSetting } from "../cgroup-common/setting.ts";
import { attachDevices } from "./devices.ts";
import { CONTROLLERS } from "./plan.ts";
import { unifiedSettings } from "./unified.ts";

/** Writes what is given; what is left out stays as it is. */
export function updateUnified(directory: string, resources: LinuxResources): void {
  const unified = unifiedSettings(resources);
  // What makes no sense is refused before anything is written.
  for (const controller of CONTROLLERS) controller.settings(resources);
  for (const controller of CONTROLLERS) {
    if (controller.update !== undefined) controller.update(directory, resources);
    else for (const setting of controller.settings(resources)) writeSetting(directory, setting);
  }
  if (resources.devices !== undefined) attachDevices({ directory, policy: devicePolicy(resources.devices) });
  for (const { setting } of unified) writeSetting(directory, setting);
}
