/**
 * The v1 devices controller: `linux.resources.devices` as lines for devices.deny and devices.allow.
 * Source: Documentation/admin-guide/cgroup-v1/devices.rst.
 */
import { callError } from "../../src/kernel/check.ts";
import { O_WRONLY } from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close, open, readText, tryWriteFile } from "../../src/kernel/file.ts";
import { sys } from "../../src/kernel/raw.ts";
import type { LinuxDeviceCgroup } from "../../src/spec/runtime/resources.ts";
import {
  ALL_ACCESS,
  accessText,
  type DevicePolicy,
  type DeviceRule,
  deviceName,
  devicePolicy,
} from "../cgroup-common/devices.ts";
import { badValue } from "../cgroup-common/setting.ts";

const FIELD = "linux.resources.devices";
const encoder = new TextEncoder();

/** Lines to write, in this order: first all of `deny`, then all of `allow`. */
export interface DeviceLines {
  readonly deny: readonly string[];
  readonly allow: readonly string[];
}

/** What most containers have: nothing but the defaults. Worked out once, as a table. */
const DEFAULT_LINES: DeviceLines = {
  deny: ["a"],
  allow: [
    ...["c *:* m", "b *:* m", "c 1:3 rwm", "c 1:8 rwm", "c 1:7 rwm", "c 5:0 rwm", "c 1:5 rwm", "c 1:9 rwm"],
    ...["c 136:* rwm", "c 5:2 rwm", "c 10:200 rwm"],
  ],
};

/** What a policy takes in a new cgroup, which starts with what the cgroup above it has: everything, or less. */
export function deviceLines(rules: readonly LinuxDeviceCgroup[] | undefined): DeviceLines {
  const last = rules?.[rules.length - 1];
  if (last === undefined || (!last.allow && (last.type ?? "a") === "a")) return DEFAULT_LINES;
  const policy = devicePolicy(rules);
  const lines = exceptions(policy);
  return policy.allowAll ? { deny: lines, allow: [] } : { deny: ["a"], allow: lines };
}

/**
 * The kernel keeps one default and a list of exceptions from it. An exception can be taken away only as it stands: to
 * deny one device out of a range that is allowed would silently do nothing, so it is refused here, as in runc.
 */
function exceptions(policy: DevicePolicy): string[] {
  const list = new Map<string, number>();
  for (const rule of policy.rules) {
    const name = deviceName(rule);
    if (rule.allow !== policy.allowAll) {
      list.set(name, (list.get(name) ?? 0) | rule.access);
      continue;
    }
    refuseHole(rule, name, list);
    const left = (list.get(name) ?? 0) & ~rule.access;
    if (left === 0) list.delete(name);
    else list.set(name, left);
  }
  return [...list].map(([name, access]) => `${name} ${accessText(access)}`);
}

function refuseHole(rule: DeviceRule, name: string, list: ReadonlyMap<string, number>): void {
  const wider = [
    deviceName({ ...rule, major: undefined }),
    deviceName({ ...rule, minor: undefined }),
    deviceName({ ...rule, major: undefined, minor: undefined }),
  ];
  for (const other of wider) {
    if (other === name || ((list.get(other) ?? 0) & rule.access) === 0) continue;
    throw badValue(
      "devices",
      `${rule.allow ? "allow" : "deny"} ${name} ${accessText(rule.access)} is a hole in ${other}, which cgroup v1 cannot hold`,
      "list the devices one by one, without the wildcard",
    );
  }
}

/** What the controller lets through, a device a line, with the file that says so before it. */
export function deviceList(directory: string): string[] {
  const path = `${directory}/devices.list`;
  return [
    `${path}:`,
    ...readText(path)
      .trim()
      .split("\n")
      .map((line) => `  ${line} allow`),
  ];
}

/**
 * Lets everything through that the cgroup above does, whatever the directory was left with. Who may not say so (EPERM: the
 * one above does not allow all, or CAP_SYS_ADMIN is missing) stays with that.
 */
export function allowAllDevices(directory: string): void {
  const path = `${directory}/devices.allow`;
  const result = tryWriteFile(path, "a");
  if (result === 0 || result === -ERRNO.EPERM || result === -ERRNO.EACCES) return;
  // With cgroups below it, it cannot be changed: no matter where it says so already.
  if (result === -ERRNO.EINVAL && readText(`${directory}/devices.list`).startsWith("a *:* rwm")) return;
  throw lineError(-result, path, "a");
}

/** Writes lines, each with one write(2), as the kernel wants them. */
export function writeDeviceLines(directory: string, lines: DeviceLines): void {
  writeLines(`${directory}/devices.deny`, lines.deny);
  writeLines(`${directory}/devices.allow`, lines.allow);
}

function writeLines(path: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  const fd = open(path, O_WRONLY);
  try {
    for (const line of lines) {
      const bytes = encoder.encode(line);
      const result = sys("write", fd, bytes, bytes.byteLength);
      if (result < 0) throw lineError(-result, path, line);
    }
  } finally {
    close(fd);
  }
}

function lineError(errno: number, path: string, line: string): Error {
  const hint =
    errno === ERRNO.EPERM
      ? "the cgroup above does not allow it, or CAP_SYS_ADMIN is missing"
      : errno === ERRNO.EINVAL && line === "a"
        ? "it has other cgroups below it: remove those first, or choose another cgroupsPath"
        : undefined;
  return callError(errno, { syscall: "write", path, field: FIELD, message: `cannot write "${line}"`, hint });
}

/**
 * Goes from what the cgroup has to what is asked, without a moment in which a device that is allowed before and
 * after is not: what is new is added first, what is gone is taken away then.
 */
export function updateDevices(directory: string, rules: readonly LinuxDeviceCgroup[]): void {
  const [allow, deny] = [`${directory}/devices.allow`, `${directory}/devices.deny`];
  const policy = devicePolicy(rules);
  // Before anything is written: it throws where v1 cannot hold them.
  const lines = exceptions(policy);
  if (policy.allowAll) {
    writeLines(allow, ["a"]);
    writeLines(deny, lines);
    return;
  }
  const current = new Map<string, number>();
  for (const line of readText(`${directory}/devices.list`).split("\n")) {
    const [type, numbers, access] = line.split(" ");
    if (access !== undefined) current.set(`${type} ${numbers}`, accessNumber(access));
  }
  // Its list shows one line for "everything" even where some devices are denied: only a fresh start is certain.
  if (current.has("a *:*")) {
    writeDeviceLines(directory, { deny: ["a"], allow: lines });
    return;
  }
  const wanted = new Map(lines.map((line) => split(line)));
  const [missing, surplus] = [without(wanted, current), without(current, wanted)];
  try {
    writeLines(allow, missing);
  } catch (error) {
    // What the cgroup above does not allow. Taking away what has not been added yet changes nothing.
    writeLines(deny, missing);
    throw error;
  }
  writeLines(deny, surplus);
}

/** Lines for the access that the one has and the other has not. */
function without(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): string[] {
  return [...one].flatMap(([name, access]) => {
    const rest = access & ~(other.get(name) ?? 0);
    return rest === 0 ? [] : [`${name} ${accessText(rest)}`];
  });
}

function split(line: string): [name: string, access: number] {
  const blank = line.lastIndexOf(" ");
  return [line.slice(0, blank), accessNumber(line.slice(blank + 1))];
}

function accessNumber(access: string): number {
  let bits = 0;
  for (const letter of access) bits |= letter === "r" ? 2 : letter === "w" ? 4 : letter === "m" ? 1 : 0;
  return bits & ALL_ACCESS;
}

/** The error of a host where nothing can hold the rules. */
export function noDevices(): Error {
  return callError(ERRNO.ENODEV, {
    syscall: "mount",
    field: FIELD,
    message:
      "neither the devices controller nor a cgroup2 tree is mounted, so devices cannot be kept from the container",
    hint: 'mount the devices controller, or allow all devices: [{ "allow": true, "access": "rwm" }]',
  });
}
