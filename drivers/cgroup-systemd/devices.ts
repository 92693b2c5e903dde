/**
 * `linux.resources.devices` as systemd has devices: a list of what is allowed. What the container may do is held by the
 * exact rules, on v1 in files and on v2 by a program; systemd's list must not take away more, and on v1, where systemd
 * writes the files anew at every daemon-reload, it must not give more either. Pure.
 * Source: DevicePolicy= and DeviceAllow= of systemd.resource-control(5).
 */
import { fail } from "../../src/error.ts";
import type { UnitProperty } from "../../src/kernel/systemd.ts";
import { accessText, type DevicePolicy, type DeviceRule } from "../cgroup-common/devices.ts";
import { deviceCells } from "../cgroup-v2/devices.ts";
import { property } from "./properties.ts";

type Device = Pick<DeviceRule, "type" | "major" | "minor">;

/** Major number of pseudo terminals, which every version of systemd knows by their name in /proc/devices. */
const PTS = 136;

/** The entry that covers a device; where there is none for it alone, a wider one. */
function entryFor({ type, major, minor }: Device): string {
  const word = type === "c" ? "char" : "block";
  if (major === undefined) return `${word}-*`;
  if (minor === undefined) return type === "c" && major === PTS ? "char-pts" : `${word}-${major}`;
  return `/dev/${word}/${major}:${minor}`;
}

/** Entries of DeviceAllow=, and whether they allow exactly what the policy allows. */
export function deviceEntries(policy: DevicePolicy): { entries: [string, string][]; exact: boolean } {
  if (policy.allowAll) return { entries: [], exact: policy.rules.length === 0 };
  const cells = deviceCells(policy);
  const allowed = cells.filter(({ access }) => access !== 0);
  const exact = cells.every((cell) => {
    // The entry may be wider than the cell.
    if (cell.major === undefined && cell.minor !== undefined && cell.access !== 0) return false;
    let given = 0;
    for (const other of allowed) if (covers(other, cell)) given |= other.access;
    return given === cell.access;
  });
  // Of two entries with one name systemd takes the last.
  const entries = new Map<string, number>();
  for (const cell of allowed) {
    const name = entryFor(cell);
    entries.set(name, (entries.get(name) ?? 0) | cell.access);
  }
  return { entries: [...entries].map(([name, access]) => [name, accessText(access)]), exact };
}

function covers(wide: Device, narrow: Device): boolean {
  return (
    wide.type === narrow.type &&
    (wide.major === undefined || wide.major === narrow.major) &&
    (wide.minor === undefined || wide.minor === narrow.minor)
  );
}

/** The properties. With `must`, a policy that systemd's list cannot say is refused. */
export function deviceProperties(policy: DevicePolicy, must: boolean): UnitProperty[] {
  const { entries, exact } = deviceEntries(policy);
  if (must && !exact) {
    throw fail({
      code: "UNSUPPORTED",
      field: "linux.resources.devices",
      message:
        "systemd cannot take exceptions from what is allowed, and on cgroup v1 it writes its own list over ours",
      hint: "allow each device by itself, or leave --systemd-cgroup out",
    });
  }
  return [
    property("DevicePolicy", "s", policy.allowAll ? "auto" : "strict"),
    // The empty list takes away what was in it before.
    property("DeviceAllow", "a(ss)", []),
    ...(entries.length === 0 ? [] : [property("DeviceAllow", "a(ss)", entries)]),
  ];
}
