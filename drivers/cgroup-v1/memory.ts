/**
 * The v1 memory controller: `linux.resources.memory` to memory.* files, and back as counters.
 * Source: Documentation/admin-guide/cgroup-v1/memory.rst.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import type { LinuxMemory } from "../../src/spec/runtime/resources.ts";
import { type Counter, omitEmpty, readCounter, readPairs } from "../cgroup-common/read.ts";
import {
  badValue,
  type Controller,
  type Journal,
  type KernelVersion,
  type Setting,
  settingError,
} from "../cgroup-common/setting.ts";
import { checkSwap, isSet, isSwappiness } from "../cgroup-common/values.ts";

const LIMIT = "memory.limit_in_bytes";
const SWAP = "memory.memsw.limit_in_bytes";
const NO_SWAP = {
  ENOENT: "this kernel does not account swap: boot it with swapaccount=1, or leave memory.swap out",
};

function limitOf(memory: LinuxMemory): Setting | undefined {
  if (!isSet(memory.limit)) return undefined;
  return { field: "memory.limit", file: LIMIT, data: String(memory.limit) };
}

/** No limit on memory alone means none on both, as in runc. */
function swapOf(memory: LinuxMemory): Setting | undefined {
  const swap = isSet(memory.swap) ? memory.swap : memory.limit === -1 ? -1 : undefined;
  if (swap === undefined) return undefined;
  const setting = { field: "memory.swap", file: SWAP, data: String(swap) };
  return swap === -1 ? { ...setting, allow: ["ENOENT"] } : { ...setting, hints: NO_SWAP };
}

/** Kernels from this one on count kernel memory, and no longer limit it alone: they take any limit, and hold none. */
const WITHOUT_KERNEL_LIMIT = [5, 16] as const;

function limitsKernelMemory([major, minor]: KernelVersion = WITHOUT_KERNEL_LIMIT): boolean {
  const [endMajor, endMinor] = WITHOUT_KERNEL_LIMIT;
  return major < endMajor || (major === endMajor && minor < endMinor);
}

function restOf(memory: LinuxMemory, kernel: KernelVersion | undefined): Setting[] {
  const rest: Setting[] = [];
  if (isSet(memory.kernel) && limitsKernelMemory(kernel)) {
    const hints = { ENOENT: "this kernel does not count kernel memory (cgroup.memory=nokmem)" };
    rest.push({
      field: "memory.kernel",
      file: "memory.kmem.limit_in_bytes",
      data: String(memory.kernel),
      hints,
    });
  }
  const { reservation, kernelTCP, swappiness } = memory;
  if (isSet(reservation)) {
    rest.push({ field: "memory.reservation", file: "memory.soft_limit_in_bytes", data: String(reservation) });
  }
  if (isSet(kernelTCP)) {
    rest.push({ field: "memory.kernelTCP", file: "memory.kmem.tcp.limit_in_bytes", data: String(kernelTCP) });
  }
  if (memory.disableOOMKiller === true) {
    rest.push({ field: "memory.disableOOMKiller", file: "memory.oom_control", data: "1" });
  }
  if (swappiness !== undefined && isSwappiness(swappiness)) {
    if (swappiness > 100) throw badValue("memory.swappiness", `is ${swappiness}, must be from 0 to 100`);
    rest.push({ field: "memory.swappiness", file: "memory.swappiness", data: String(swappiness) });
  }
  return rest;
}

export const memory: Controller = {
  name: "memory",
  settings({ memory }, kernel) {
    if (memory === undefined) return [];
    checkSwap(memory.limit, memory.swap);
    return [limitOf(memory), swapOf(memory), ...restOf(memory, kernel)].filter(
      (setting) => setting !== undefined,
    );
  },
  warnings({ memory }, kernel) {
    const ignored: string[] = [];
    if (isSet(memory?.kernel) && !limitsKernelMemory(kernel)) {
      ignored.push(
        "linux.resources.memory.kernel is ignored: kernels since 5.16 no longer limit kernel memory alone",
      );
    }
    if (memory?.useHierarchy === false) {
      ignored.push(
        "linux.resources.memory.useHierarchy is ignored: kernels since 5.11 always count in a hierarchy",
      );
    }
    return ignored;
  },
  update(directory, { memory }, journal, kernel) {
    if (memory === undefined) return;
    checkSwap(memory.limit, memory.swap);
    const [limit, swap] = [limitOf(memory), swapOf(memory)];
    // The kernel holds limit <= swap at every moment: which goes first depends on where the limit stands now.
    const current = readCounter(directory, LIMIT) ?? 0;
    const swapFirst = swap !== undefined && (swap.data === "-1" || current < BigInt(swap.data));
    if (swap !== undefined && swapFirst) journal.set(directory, swap);
    if (limit !== undefined) writeLimit(journal, directory, limit);
    if (swap !== undefined && !swapFirst) journal.set(directory, swap);
    for (const setting of restOf(memory, kernel)) journal.set(directory, setting);
  },
};

function writeLimit(journal: Journal, directory: string, limit: Setting): void {
  const errno = journal.attempt(directory, limit);
  if (errno === 0) return;
  if (errno !== ERRNO.EBUSY) throw settingError(directory, limit, errno);
  const usage = readCounter(directory, "memory.usage_in_bytes");
  const peak = readCounter(directory, "memory.max_usage_in_bytes");
  throw settingError(
    directory,
    limit,
    errno,
    `unable to set memory limit to ${limit.data} (current usage: ${usage}, peak usage: ${peak})`,
  );
}

function entry(directory: string, name: string): CgroupStats {
  const usage = readCounter(directory, `${name}.usage_in_bytes`);
  if (usage === undefined) return { limit: 0, failcnt: 0 };
  const limit = readCounter(directory, `${name}.limit_in_bytes`) ?? 0;
  const max = readCounter(directory, `${name}.max_usage_in_bytes`) ?? 0;
  const failcnt = readCounter(directory, `${name}.failcnt`) ?? 0;
  return { limit, ...omitEmpty({ usage, max }), failcnt };
}

/** `memory` of the counters; bytes. */
export function memoryStats(directory: string): CgroupStats {
  const raw = readPairs(directory, "memory.stat");
  const oom = readPairs(directory, "memory.oom_control");
  return {
    ...omitEmpty({ cache: raw.cache }),
    usage: entry(directory, "memory"),
    swap: entry(directory, "memory.memsw"),
    kernel: entry(directory, "memory.kmem"),
    kernelTCP: entry(directory, "memory.kmem.tcp"),
    raw,
    event_count: omitEmpty({ oom_kill: oom.oom_kill }),
  };
}

/** Processes of the cgroup that were killed for memory. */
export function memoryOomKills(directory: string): Counter {
  return readPairs(directory, "memory.oom_control").oom_kill ?? 0;
}
