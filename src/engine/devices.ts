/**
 * The devices of a container and the rules for them, from flags and the host's /dev.
 */
import type { LinuxDevice, LinuxDeviceCgroup } from "../spec/runtime/config.ts";
import type { Asked } from "./asked.ts";
import { ALL_DEVICE_RULES, DEFAULT_DEVICE_RULES, deviceNode, deviceRule } from "./config/devices.ts";
import { allDevices, findDevices } from "./sources.ts";

/** linux.devices, and linux.resources.devices. */
export interface ContainerDevices {
  readonly devices: readonly LinuxDevice[];
  readonly deviceRules: readonly LinuxDeviceCgroup[];
}

/** All of the host's with --privileged; else those of --device, and rules of --device-cgroup-rule. */
export function containerDevices(asked: Pick<Asked, "devices" | "deviceRules" | "flags">): ContainerDevices {
  const found = asked.devices.flatMap((request) =>
    findDevices(request).map((each) => ({ ...each, access: request.access })),
  );
  const named = found.map(({ device, inside }) => deviceNode(device, inside));
  if (asked.flags.privileged) {
    const taken = new Set(named.map(({ path }) => path));
    const others = allDevices().filter(({ path }) => !taken.has(path));
    return {
      devices: [...named, ...others.map((device) => deviceNode(device, device.path))],
      deviceRules: ALL_DEVICE_RULES,
    };
  }
  const rules = found.map(({ device, access }) => deviceRule(device, access));
  return { devices: named, deviceRules: [...DEFAULT_DEVICE_RULES, ...rules, ...asked.deviceRules] };
}
