/**
 * Properties of a unit that cannot be told from `linux.resources` alone, and are read off the files once these are
 * written: the period that `cpu.max` keeps when a quota comes without one, and weights where the kernel has BFQ, for which
 * systemd writes what it converts its own to.
 */
import { readTextIfAny } from "../../src/kernel/file.ts";
import type { UnitProperty } from "../../src/kernel/systemd.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { UNIFIED } from "../cgroup-v2/plan.ts";
import { DEFAULT_WEIGHT, weightForBfq } from "./bfq.ts";
import { bandwidthText } from "./kernel-values.ts";
import { property, quotaProperties } from "./properties.ts";

type Paths = Readonly<Record<string, string>>;

const BFQ = "io.bfq.weight";

/** Whether there may be weights of BFQ's that systemd has to be told of. */
export function asksForWeights({ blockIO, unified = {} }: LinuxResources): boolean {
  const devices = blockIO?.weightDevice?.some(({ weight }) => weight) ?? false;
  return Boolean(blockIO?.weight) || devices || unified[BFQ] !== undefined;
}

/** What systemd must have so that it writes the same weights into this cgroup of v2; nothing where the kernel has no BFQ. */
export function weightsHeld(directory: string): UnitProperty[] {
  const text = readTextIfAny(`${directory}/${BFQ}`);
  if (text === undefined) return [];
  let general = DEFAULT_WEIGHT;
  const devices: [string, bigint][] = [];
  for (const line of text.split("\n")) {
    const [, device, weight = ""] = /^(default|\d+:\d+) (\d+)$/.exec(line) ?? [];
    if (device === "default") general = weightForBfq(BigInt(weight));
    else if (device !== undefined) devices.push([`/dev/block/${device}`, weightForBfq(BigInt(weight))]);
  }
  return [
    property("IOWeight", "t", general),
    // The empty list takes away what was in it before.
    property("IODeviceWeight", "a(st)", []),
    ...(devices.length === 0 ? [] : [property("IODeviceWeight", "a(st)", devices)]),
  ];
}

/** Quota and period as the kernel has them after an update, where that names any of the two. */
export function bandwidthHeld(
  { cpu, unified = {} }: LinuxResources,
  paths: Paths,
  version: number,
): UnitProperty[] {
  if (!cpu?.quota && !cpu?.period && unified["cpu.max"] === undefined) return [];
  const directory = paths.cpu ?? paths[UNIFIED] ?? "";
  const read = (file: string): string => (readTextIfAny(`${directory}/${file}`) ?? "").trim();
  const text =
    paths.cpu === undefined
      ? read("cpu.max")
      : `${read("cpu.cfs_quota_us").replace("-1", "max")} ${read("cpu.cfs_period_us")}`;
  const held = bandwidthText(text);
  return held === undefined ? [] : quotaProperties(held, version);
}
