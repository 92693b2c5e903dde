/**
 * What of `linux.resources` systemd has properties for, so that its own idea of a unit agrees with the files of the
 * unit's cgroup, which it writes anew at every daemon-reload. Exactness is not needed here: the files get the exact
 * values from the drivers of cgroups v1 and v2. A property that a systemd does not know is an error of its: each is
 * given from the version on that has it. Pure.
 *
 * Source: systemd.resource-control(5); what runc sets (opencontainers/cgroups, systemd/v1.go and v2.go), and IOWeight as
 * crun.
 */
import type { DbusValue } from "../../src/kernel/dbus-marshal.ts";
import type { UnitProperty } from "../../src/kernel/systemd.ts";
import type { LinuxCpu, LinuxResources } from "../../src/spec/runtime/resources.ts";
import { badValue } from "../cgroup-common/setting.ts";
import { blkioToIoWeight, isSet, sharesToWeight, swapAlone } from "../cgroup-common/values.ts";
import { blockWeightForBfq, DEFAULT_WEIGHT } from "./bfq.ts";
import {
  bandwidthText,
  bytesText,
  countText,
  integerText,
  ioWeightText,
  MAX,
  maskText,
  niceText,
  weightText,
} from "./kernel-values.ts";

/** No limit, and no value. */
const INFINITY = (1n << 64n) - 1n;
/** The kernel's own period, and the grain of systemd's quota, which it keeps in whole percents; microseconds. */
const [DEFAULT_PERIOD, GRAIN] = [100_000n, 10_000n];
/** Versions of systemd that brought properties. */
const SINCE = { period: 242, cpuset: 244, idle: 252, oomPolicyOfScopes: 253, zswap: 253, writeback: 256 };

type Integer = number | bigint;

export function property(name: string, signature: string, value: DbusValue): UnitProperty {
  return [name, { signature, value }];
}

/** -1 is no limit. */
function amount(name: string, value: Integer): UnitProperty {
  return property(name, "t", value < 0 ? INFINITY : BigInt(value));
}

/** Properties on a host with a cgroup2 tree alone, but for those of `pids` ({@link tasksProperties}). */
export function unifiedProperties(resources: LinuxResources, version: number): UnitProperty[] {
  const { memory, cpu, blockIO, unified = {} } = resources;
  const list: UnitProperty[] = [];
  if (isSet(memory?.limit)) list.push(amount("MemoryMax", memory.limit));
  if (isSet(memory?.reservation)) list.push(amount("MemoryLow", memory.reservation));
  const swap = swapAlone(memory?.limit, memory?.swap);
  if (swap !== undefined) list.push(amount("MemorySwapMax", swap === "max" ? -1 : BigInt(swap)));
  const idle = idleOf(resources, version);
  // A weight of 0 is how systemd is told of cpu.idle, and any other ends it.
  if (idle === 1n) list.push(property("CPUWeight", "t", 0n));
  else if (isSet(cpu?.shares)) list.push(property("CPUWeight", "t", BigInt(sharesToWeight(cpu.shares))));
  else if (idle === 0n) list.push(property("CPUWeight", "t", DEFAULT_WEIGHT));
  list.push(...quotaProperties(cpu, version), ...cpusetProperties(cpu, version));
  if (blockIO?.weight) list.push(property("IOWeight", "t", BigInt(blkioToIoWeight(blockIO.weight))));
  const usual = isSet(cpu?.period) ? cpu.period : Number(DEFAULT_PERIOD);
  for (const [file, text] of Object.entries(unified)) {
    list.push(...ofFile(file, text, { idle: idle === 1n, period: usual }, version));
  }
  return list;
}

/** Of cpu.idle what is asked for, where systemd writes that file. */
function idleOf({ cpu, unified = {} }: LinuxResources, version: number): bigint | undefined {
  if (version < SINCE.idle) return undefined;
  const text = unified["cpu.idle"];
  if (text === undefined) return cpu?.idle === undefined ? undefined : BigInt(cpu.idle);
  const idle = integerText(text);
  if (idle === 0n || idle === 1n) return idle;
  throw cannotSay("cpu.idle", text);
}

/** Properties on a host with v1 controllers, but for those of `pids` ({@link tasksProperties}). */
export function legacyProperties({ memory, cpu, blockIO }: LinuxResources, version: number): UnitProperty[] {
  const list: UnitProperty[] = [];
  if (isSet(memory?.limit)) list.push(amount("MemoryLimit", memory.limit));
  if (isSet(cpu?.shares)) list.push(property("CPUShares", "t", BigInt(cpu.shares)));
  list.push(...quotaProperties(cpu, version), ...cpusetProperties(cpu, version));
  if (blockIO?.weight) list.push(property("BlockIOWeight", "t", blockWeightForBfq(BigInt(blockIO.weight))));
  return list;
}

/**
 * `pids`, to start with and afterwards. The process that makes the container's is in the unit beside it for a moment, so
 * a unit starts with two at least. systemd has no limit of 0: it gets 1, and the file the 0.
 */
export function tasksProperties({ pids, unified = {} }: LinuxResources): {
  readonly first: readonly UnitProperty[];
  readonly last: readonly UnitProperty[];
} {
  const file = unified["pids.max"];
  if (file === undefined && pids?.limit === undefined) return { first: [], last: [] };
  const limit = file === undefined ? BigInt(pids?.limit ?? -1) : countText(file);
  if (limit === undefined) throw cannotSay("pids.max", file);
  const last = amount("TasksMax", limit === MAX ? -1 : limit === 0n ? 1 : limit);
  const isTight = limit === 0n || limit === 1n;
  return { first: [isTight ? amount("TasksMax", 2) : last], last: [last] };
}

export function quotaProperties({ quota, period }: LinuxCpu = {}, version: number): UnitProperty[] {
  if (!isSet(quota) && !isSet(period)) return [];
  const list: UnitProperty[] = [];
  if (isSet(period) && version >= SINCE.period)
    list.push(property("CPUQuotaPeriodUSec", "t", BigInt(period)));
  let perSecond = INFINITY;
  if (isSet(quota) && quota > 0) {
    const exact = (BigInt(quota) * 1_000_000n) / (isSet(period) ? BigInt(period) : DEFAULT_PERIOD);
    // Rounded up, so that the container never has less than it was given.
    perSecond = ((exact + GRAIN - 1n) / GRAIN) * GRAIN;
  }
  list.push(property("CPUQuotaPerSecUSec", "t", perSecond));
  return list;
}

function cpusetProperties({ cpus, mems }: LinuxCpu = {}, version: number): UnitProperty[] {
  if (version < SINCE.cpuset) return [];
  return [...bits("AllowedCPUs", "cpu.cpus", cpus), ...bits("AllowedMemoryNodes", "cpu.mems", mems)];
}

/** Empty is as left out. */
function bits(name: string, field: string, list = ""): UnitProperty[] {
  if (list.trim() === "") return [];
  const mask = maskText(list);
  if (mask === undefined)
    throw badValue(field, `${JSON.stringify(list)} cannot be told to systemd`, LIST_HINT);
  return [property(name, "ay", mask)];
}

const LIST_HINT = "write a list such as 0-2,5";

/** A value of `unified` that systemd would write something else over at once. */
function cannotSay(file: string, text: string | undefined): Error {
  return badValue(
    `unified.${file}`,
    `${JSON.stringify(text)} cannot be told to systemd, which writes that file too`,
    "write a value that the kernel takes, or leave --systemd-cgroup out",
  );
}

/** Files of `unified` that are amounts of bytes, and their properties. */
const AMOUNTS: Readonly<Record<string, string>> = {
  "memory.high": "MemoryHigh",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.max": "MemoryMax",
  "memory.swap.max": "MemorySwapMax",
  "memory.zswap.max": "MemoryZSwapMax",
};

/**
 * What systemd is told of a file of `unified`; nothing of one that it does not write. Beside it the cgroup is idle, and
 * has that period.
 */
function ofFile(
  file: string,
  text: string,
  { idle, period: usual }: { idle: boolean; period: Integer },
  version: number,
): UnitProperty[] {
  const need = <T>(value: T | undefined): T => {
    if (value === undefined) throw cannotSay(file, text);
    return value;
  };
  const name = AMOUNTS[file];
  if (name !== undefined) {
    if (file === "memory.zswap.max" && version < SINCE.zswap) return [];
    const bytes = need(bytesText(text));
    return [amount(name, bytes === MAX ? -1 : bytes)];
  }
  switch (file) {
    case "cpu.weight":
    case "cpu.weight.nice": {
      const weight = need(file === "cpu.weight" ? weightText(text) : niceText(text));
      return idle ? [] : [property("CPUWeight", "t", weight)];
    }
    case "io.weight": {
      const weight = need(ioWeightText(text));
      return weight === "none" ? [] : [property("IOWeight", "t", weight)];
    }
    case "cpu.max": {
      const { quota, period } = need(bandwidthText(text));
      return quotaProperties({ quota, period: period ?? usual }, version);
    }
    case "cpuset.cpus":
    case "cpuset.mems": {
      if (version < SINCE.cpuset) return [];
      const mask = need(maskText(text));
      return [property(file === "cpuset.cpus" ? "AllowedCPUs" : "AllowedMemoryNodes", "ay", mask)];
    }
    case "memory.oom.group": {
      if (version < SINCE.oomPolicyOfScopes) return [];
      const group = need(flagText(text));
      return [property("OOMPolicy", "s", group ? "kill" : "continue")];
    }
    case "memory.zswap.writeback":
      return version < SINCE.writeback ? [] : [property("MemoryZSwapWriteback", "b", need(flagText(text)))];
    default:
      return [];
  }
}

function flagText(text: string): boolean | undefined {
  const value = integerText(text);
  return value === 0n || value === 1n ? value === 1n : undefined;
}
