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
import { blkioToIoWeight, isSet, sharesToWeight, swapAlone } from "../cgroup-common/values.ts";

/** No limit, and no value. */
const INFINITY = (1n << 64n) - 1n;
/** The kernel's own period, and the grain of systemd's quota, which it keeps in whole percents; microseconds. */
const [DEFAULT_PERIOD, GRAIN] = [100_000n, 10_000n];
/** Versions of systemd that brought properties. */
const SINCE = { period: 242, cpuset: 244, idle: 252, oomPolicyOfScopes: 253, zswap: 253 };
/** More CPUs or memory nodes than any kernel has. */
const MOST_CPUS = 1 << 16;

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
  const idle = (cpu?.idle === 1 || unified["cpu.idle"]?.trim() === "1") && version >= SINCE.idle;
  // A weight of 0 is how systemd is told of cpu.idle.
  if (idle) list.push(property("CPUWeight", "t", 0n));
  else if (isSet(cpu?.shares)) list.push(property("CPUWeight", "t", BigInt(sharesToWeight(cpu.shares))));
  list.push(...quotaProperties(cpu, version), ...cpusetProperties(cpu, version));
  if (blockIO?.weight) list.push(property("IOWeight", "t", BigInt(blkioToIoWeight(blockIO.weight))));
  for (const [file, text] of Object.entries(unified)) list.push(...ofFile(file, text.trim(), idle, version));
  return list;
}

/** Properties on a host with v1 controllers, but for those of `pids` ({@link tasksProperties}). */
export function legacyProperties({ memory, cpu, blockIO }: LinuxResources, version: number): UnitProperty[] {
  const list: UnitProperty[] = [];
  if (isSet(memory?.limit)) list.push(amount("MemoryLimit", memory.limit));
  if (isSet(cpu?.shares)) list.push(property("CPUShares", "t", BigInt(cpu.shares)));
  list.push(...quotaProperties(cpu, version), ...cpusetProperties(cpu, version));
  if (blockIO?.weight) list.push(property("BlockIOWeight", "t", BigInt(blockIO.weight)));
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
  const file = unified["pids.max"]?.trim();
  const text = file ?? (pids?.limit === undefined ? "" : pids.limit < 0 ? "max" : String(pids.limit));
  if (!/^[01]$/.test(text)) return { first: limit("TasksMax", text), last: limit("TasksMax", text) };
  return { first: limit("TasksMax", "2"), last: limit("TasksMax", "1") };
}

function quotaProperties({ quota, period }: LinuxCpu = {}, version: number): UnitProperty[] {
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
  return [...bits("AllowedCPUs", cpus), ...bits("AllowedMemoryNodes", mems)];
}

/** A list such as `0-2,5` as a mask of bits. One that makes no sense is left for the kernel to refuse. */
function bits(name: string, list: string | undefined): UnitProperty[] {
  const text = list?.trim() ?? "";
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return [];
  const mask: number[] = [];
  for (const range of text.split(",")) {
    const [first = 0, last = first] = range.split("-").map(Number);
    if (last >= MOST_CPUS) return [];
    for (let at = first; at <= last; at++) {
      const byte = at >> 3;
      while (mask.length <= byte) mask.push(0);
      mask[byte] = (mask[byte] ?? 0) | (1 << (at & 7));
    }
  }
  return [property(name, "ay", Uint8Array.from(mask))];
}

/** A number or `max`; anything else is left for the kernel to refuse. */
function limit(name: string, text: string): UnitProperty[] {
  if (text === "max") return [amount(name, -1)];
  return /^\d{1,19}$/.test(text) ? [amount(name, BigInt(text))] : [];
}

/** Files of `unified` that are amounts, and their properties. */
const AMOUNTS: Readonly<Record<string, string>> = {
  "memory.high": "MemoryHigh",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.max": "MemoryMax",
  "memory.swap.max": "MemorySwapMax",
};

function ofFile(file: string, text: string, idle: boolean, version: number): UnitProperty[] {
  const name = AMOUNTS[file];
  if (name !== undefined) return limit(name, text);
  switch (file) {
    case "memory.zswap.max":
      return version < SINCE.zswap ? [] : limit("MemoryZSwapMax", text);
    case "cpu.weight":
      return idle || !/^\d{1,5}$/.test(text) ? [] : [property("CPUWeight", "t", BigInt(text))];
    case "io.weight": {
      const weight = /^(?:default\s+)?(\d{1,5})$/.exec(text)?.[1];
      return weight === undefined ? [] : [property("IOWeight", "t", BigInt(weight))];
    }
    case "cpu.max": {
      const [quota = "", period] = text.split(/\s+/);
      if (!/^(max|\d{1,15})$/.test(quota) || !/^(\d{1,15})?$/.test(period ?? "")) return [];
      const most = quota === "max" ? -1 : Number(quota);
      return quotaProperties({ quota: most, period: Number(period ?? DEFAULT_PERIOD) }, version);
    }
    case "cpuset.cpus":
      return cpusetProperties({ cpus: text }, version);
    case "cpuset.mems":
      return cpusetProperties({ mems: text }, version);
    case "memory.oom.group":
      if (version < SINCE.oomPolicyOfScopes || !/^[01]$/.test(text)) return [];
      return [property("OOMPolicy", "s", text === "1" ? "kill" : "continue")];
    default:
      return [];
  }
}
