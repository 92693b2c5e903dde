/**
 * The v2 memory controller: `linux.resources.memory` to memory.* files, and back as counters.
 * Source: Documentation/admin-guide/cgroup-v2.rst, "Memory".
 */
import type { CgroupStats } from "../../src/driver.ts";
import type { LinuxMemory } from "../../src/spec/runtime/resources.ts";
import {
  add,
  type Counter,
  omitEmpty,
  readCounter,
  readPairs,
  readPressure,
  UNLIMITED,
} from "../cgroup-common/read.ts";
import { badValue, type Controller, type Setting } from "../cgroup-common/setting.ts";
import { isSet, isSwappiness, maxOr, swapAlone } from "../cgroup-common/values.ts";

const NO_SWAP = {
  ENOENT: "this kernel does not account swap: boot it with swapaccount=1, or leave memory.swap out",
};

function settingsOf(memory: LinuxMemory): Setting[] {
  const settings: Setting[] = [];
  const swap = swapAlone(memory.limit, memory.swap);
  if (swap !== undefined) {
    // Without swap accounting there is no swap to limit: none, and no limit on it, hold by themselves.
    const rest = swap === "max" || swap === "0" ? { allow: ["ENOENT"] } : { hints: NO_SWAP };
    settings.push({ field: "memory.swap", file: "memory.swap.max", data: swap, ...rest });
  }
  const limit = maxOr(memory.limit);
  if (limit !== undefined) settings.push({ field: "memory.limit", file: "memory.max", data: limit });
  const low = maxOr(memory.reservation);
  if (low !== undefined) settings.push({ field: "memory.reservation", file: "memory.low", data: low });
  return settings;
}

export const memory: Controller = {
  name: "memory",
  settings: ({ memory }) => (memory === undefined ? [] : settingsOf(memory)),
  warnings({ memory }) {
    const ignored: string[] = [];
    const ignore = (field: string, why: string): void => {
      ignored.push(`linux.resources.memory.${field} is ignored: ${why}`);
    };
    const none = "cgroup v2 has nothing like it";
    if (isSet(memory?.kernel)) ignore("kernel", "cgroup v2 counts kernel memory in memory.limit");
    if (isSet(memory?.kernelTCP)) ignore("kernelTCP", "cgroup v2 counts socket buffers in memory.limit");
    if (isSwappiness(memory?.swappiness)) ignore("swappiness", none);
    if (memory?.disableOOMKiller === true) ignore("disableOOMKiller", none);
    if (memory?.useHierarchy === false) ignore("useHierarchy", "cgroup v2 always counts in a hierarchy");
    return ignored;
  },
  update(directory, { memory }, journal) {
    if (memory === undefined) return;
    if (memory.checkBeforeUpdate === true) checkUsage(directory, memory);
    for (const setting of settingsOf(memory)) journal.set(directory, setting);
  },
};

/** A limit below what is used would have the kernel kill at once: `checkBeforeUpdate` wants v1's refusal instead. */
function checkUsage(directory: string, { limit, swap }: LinuxMemory): void {
  const usage = readCounter(directory, "memory.current") ?? 0;
  if (isSet(limit) && limit !== -1 && limit <= usage) {
    throw badValue("memory.limit", `is ${limit}, no more than what is used now: ${usage}`);
  }
  const swapped = readCounter(directory, "memory.swap.current") ?? 0;
  if (isSet(swap) && swap !== -1 && swap <= add(usage, swapped)) {
    throw badValue("memory.swap", `is ${swap}, no more than what is used now: ${add(usage, swapped)}`);
  }
}

/** `memory` of the counters; bytes. Swap stands together with memory, as on v1. */
export function memoryStats(directory: string): CgroupStats {
  const raw = readPairs(directory, "memory.stat");
  const usage = readCounter(directory, "memory.current") ?? 0;
  const limit = readCounter(directory, "memory.max") ?? UNLIMITED;
  const max = readCounter(directory, "memory.peak");
  const swapUsage = add(readCounter(directory, "memory.swap.current") ?? 0, usage);
  const swapMax = readCounter(directory, "memory.swap.max");
  const swapLimit =
    swapMax === undefined || swapMax === UNLIMITED || limit === UNLIMITED ? swapMax : add(swapMax, limit);
  const events = readPairs(directory, "memory.events");
  const { low, high, oom, oom_kill, oom_group_kill } = events;
  return {
    ...omitEmpty({ cache: raw.file }),
    usage: { limit, ...omitEmpty({ usage, max }), failcnt: 0 },
    swap: { limit: swapLimit ?? 0, ...omitEmpty({ usage: swapUsage }), failcnt: 0 },
    kernel: { limit: 0, failcnt: 0 },
    kernelTCP: { limit: 0, failcnt: 0 },
    raw,
    ...omitEmpty({ psi: readPressure(directory, "memory.pressure") }),
    event_count: omitEmpty({ low, high, max: events.max, oom, oom_kill, oom_group_kill }),
  };
}

/** Processes of the cgroup that were killed for memory. */
export function memoryOomKills(directory: string): Counter {
  return readPairs(directory, "memory.events").oom_kill ?? 0;
}
