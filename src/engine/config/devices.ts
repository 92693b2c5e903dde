/**
 * `--device` and the devices of `--privileged` to linux.devices and the device rules of the cgroup.
 * Not here: looking at the host's /dev (engine/sources.ts).
 */
import { fail } from "../../error.ts";
import type { LinuxDevice, LinuxDeviceCgroup } from "../../spec/runtime/config.ts";
import { cleanPath } from "./command.ts";

/** A `--device HOST[:INSIDE][:rwm]`. */
export interface DeviceRequest {
  readonly host: string;
  readonly inside: string;
  readonly access: string;
}

/** A device node of the host. */
export interface HostDevice {
  readonly path: string;
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Takes a `--device` apart. */
export function parseDeviceFlag(text: string): DeviceRequest {
  const [host = "", second, third, ...more] = text.split(":");
  const isAccess = (part: string | undefined): part is string =>
    part !== undefined && /^[rwm]{1,3}$/.test(part);
  const access = third ?? (isAccess(second) ? second : "rwm");
  const inside = second === undefined || (third === undefined && isAccess(second)) ? host : second;
  if (more.length > 0 || !host.startsWith("/") || !inside.startsWith("/") || !isAccess(access)) {
    throw fail({
      code: "INVALID_FLAG",
      field: "--device",
      message: `${JSON.stringify(text)} is not a device`,
      hint: "write /dev/fuse, or /dev/sda:/dev/xvda:r",
    });
  }
  return { host: cleanPath(host), inside: cleanPath(inside), access };
}

/** The node for config.json. */
export function deviceNode(device: HostDevice, inside: string): LinuxDevice {
  const { type, major, minor, mode, uid, gid } = device;
  return { type, path: inside, major, minor, fileMode: mode & 0o7777, uid, gid };
}

/** The rule that lets the container use it. */
export function deviceRule(device: HostDevice, access: string): LinuxDeviceCgroup {
  return { allow: true, type: device.type, major: device.major, minor: device.minor, access };
}

/**
 * `--device-cgroup-rule "c 10:* rwm"` to rules that let the container use such devices, once it has nodes of them.
 * Type `a` is both types: only where it means every device is it a rule of that type, which forgets all others.
 */
export function parseDeviceRule(text: string): LinuxDeviceCgroup[] {
  const [, type = "", major = "", minor = "", access = ""] =
    /^([abc]) (\d{1,10}|\*):(\d{1,10}|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === "") {
    throw fail({
      code: "INVALID_FLAG",
      field: "--device-cgroup-rule",
      message: `${JSON.stringify(text)} is not a rule for devices`,
      hint: "write type (a, b or c), major and minor number or *, and access: 'c 10:* rwm'",
    });
  }
  const isAll =
    type === "a" && major === "*" && minor === "*" && "rwm".split("").every((each) => access.includes(each));
  if (isAll) return [...ALL_DEVICE_RULES];
  const types = type === "a" ? (["c", "b"] as const) : ([type === "c" ? "c" : "b"] as const);
  return types.map((each) => ({
    allow: true,
    type: each,
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
    access,
  }));
}

const character = (major: number, minor: number): LinuxDeviceCgroup => ({
  allow: true,
  type: "c",
  major,
  minor,
  access: "rwm",
});

/** Nothing but what every container has (config-linux.md, "Default Devices"), and making nodes without using them. */
export const DEFAULT_DEVICE_RULES: readonly LinuxDeviceCgroup[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  character(1, 3), // null
  character(1, 5), // zero
  character(1, 7), // full
  character(1, 8), // random
  character(1, 9), // urandom
  character(5, 0), // tty
  character(5, 1), // console
  character(5, 2), // ptmx
  { allow: true, type: "c", major: 136, access: "rwm" }, // pseudo terminals
];

/** Everything, for `--privileged`. */
export const ALL_DEVICE_RULES: readonly LinuxDeviceCgroup[] = [{ allow: true, access: "rwm" }];
