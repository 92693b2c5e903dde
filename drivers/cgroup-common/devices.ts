/**
 * What a list of device rules comes to. Both versions build on it: v1 writes lines to devices.allow and devices.deny,
 * v2 makes a program of it. Pure.
 *
 * The list is read as the kernel's v1 controller reads its lines (Documentation/admin-guide/cgroup-v1/devices.rst): a
 * rule for all types forgets everything before it; the others add or take away access. Before the first rule nothing
 * is allowed, and the devices that every container needs are added at the end: both as in runc.
 */
import type { LinuxDeviceCgroup } from "../../src/spec/runtime/resources.ts";
import { badValue } from "./setting.ts";

/** Access bits, as BPF_DEVCG_ACC_* of include/uapi/linux/bpf.h number them. */
export const ACCESS = { m: 1, r: 2, w: 4 } as const;
export const ALL_ACCESS = 7;

/** Both versions compare 32 bits. */
const MOST_NUMBER = 0xffffffff;

/** A rule for one device, or for all of a major or minor number (undefined). */
export interface DeviceRule {
  readonly type: "b" | "c";
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly access: number;
  readonly allow: boolean;
}

/** What holds for every device that no rule names, and rules in order: a later one wins over an earlier one. */
export interface DevicePolicy {
  readonly allowAll: boolean;
  readonly rules: readonly DeviceRule[];
}

/**
 * Always allowed, as in runc (libcontainer/specconv/spec_linux.go, AllowedDevices): mknod of anything, null, random,
 * full, tty, zero, urandom, the pseudo terminals, ptmx, and the tun device.
 */
const DEFAULTS: readonly DeviceRule[] = [
  allow("c", undefined, undefined, ACCESS.m),
  allow("b", undefined, undefined, ACCESS.m),
  allow("c", 1, 3, ALL_ACCESS),
  allow("c", 1, 8, ALL_ACCESS),
  allow("c", 1, 7, ALL_ACCESS),
  allow("c", 5, 0, ALL_ACCESS),
  allow("c", 1, 5, ALL_ACCESS),
  allow("c", 1, 9, ALL_ACCESS),
  allow("c", 136, undefined, ALL_ACCESS),
  allow("c", 5, 2, ALL_ACCESS),
  allow("c", 10, 200, ALL_ACCESS),
];

function allow(
  type: "b" | "c",
  major: number | undefined,
  minor: number | undefined,
  access: number,
): DeviceRule {
  return { type, major, minor, access, allow: true };
}

/** The policy of `linux.resources.devices`. */
export function devicePolicy(rules: readonly LinuxDeviceCgroup[] | undefined): DevicePolicy {
  let allowAll = false;
  let kept: DeviceRule[] = [];
  for (const rule of rules ?? []) {
    const type = rule.type ?? "a";
    if (type === "a") {
      allowAll = rule.allow;
      kept = [];
      continue;
    }
    const access = accessBits(rule.access);
    if (access === 0) continue;
    kept.push({
      type,
      major: deviceNumber(rule.major),
      minor: deviceNumber(rule.minor),
      access,
      allow: rule.allow,
    });
  }
  return { allowAll, rules: allowAll && kept.every((rule) => rule.allow) ? [] : [...kept, ...DEFAULTS] };
}

/** Bits of `rwm`; all where it is left out. */
function accessBits(access: string | undefined): number {
  if (access === undefined) return ALL_ACCESS;
  let bits = 0;
  for (const letter of access) bits |= ACCESS[letter as keyof typeof ACCESS];
  return bits;
}

/** Left out or negative: all numbers. */
function deviceNumber(value: number | bigint | undefined): number | undefined {
  if (value !== undefined && value > MOST_NUMBER) throw badValue("devices", `${value} is no device number`);
  return value === undefined || value < 0 ? undefined : Number(value);
}

/** Bits as `rwm`, in the kernel's order. */
export function accessText(access: number): string {
  return `${access & ACCESS.r ? "r" : ""}${access & ACCESS.w ? "w" : ""}${access & ACCESS.m ? "m" : ""}`;
}

/** `c 1:*`: the device that a rule is for, as the v1 files spell it. */
export function deviceName(rule: Pick<DeviceRule, "type" | "major" | "minor">): string {
  return `${rule.type} ${rule.major ?? "*"}:${rule.minor ?? "*"}`;
}
