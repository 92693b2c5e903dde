/**
 * What of limits this host can hold: looked up once for a command. Not here: what is asked for (config/).
 */
import { availableParallelism } from "node:os";
import type { Host } from "../driver.ts";
import { readTextIfAny, statusOf } from "../kernel/file.ts";
import type { LimitHost } from "./config/limit-flags.ts";
import type { ResourceHost } from "./config/resources.ts";
import { findDisk } from "./sources.ts";

export function limitHost(host: Host): LimitHost & ResourceHost {
  return {
    cpus: availableParallelism(),
    swapLimit: countsSwap(host),
    cpuList: listIn("/sys/devices/system/cpu/online"),
    // Not there in a kernel without CONFIG_NUMA: all its memory is node 0.
    nodeList: listIn("/sys/devices/system/node/online"),
    diskAt: findDisk,
  };
}

function listIn(file: string): string {
  return readTextIfAny(file)?.trim() || "0";
}

function countsSwap({ cgroup }: Host): boolean {
  const v1 = cgroup.controllers.memory;
  if (v1 !== undefined) return statusOf(`${v1}/memory.memsw.limit_in_bytes`) !== undefined;
  // The root of a cgroup2 tree has no limit files: the kernel's own list of swap areas tells whether it counts.
  return statusOf("/proc/swaps") !== undefined;
}
