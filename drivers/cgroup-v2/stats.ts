/**
 * Counters of a container on v2, put together from its controllers in the shape of the `data` of runc's
 * `events --stats` (types/events.go of opencontainers/runc).
 */
import type { CgroupStats } from "../../src/driver.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";
import { hugePageSizes } from "../cgroup-common/hugepages.ts";
import { cpuStats } from "./cpu.ts";
import { hugetlbStats } from "./hugetlb.ts";
import { ioStats } from "./io.ts";
import { memoryStats } from "./memory.ts";
import { pidsStats } from "./pids.ts";

/** All of them; a controller that is not enabled counts nothing. */
export function readStats(directory: string): CgroupStats {
  const enabled = (readTextIfAny(`${directory}/cgroup.controllers`) ?? "").trim().split(" ");
  return {
    cpu: cpuStats(directory),
    cpuset: {
      cpu_exclusive: 0,
      mem_hardwall: 0,
      mem_exclusive: 0,
      memory_migrate: 0,
      memory_spread_page: 0,
      memory_spread_slab: 0,
      memory_pressure: 0,
      sched_load_balance: 0,
      sched_relax_domain_level: 0,
    },
    memory: memoryStats(directory),
    pids: pidsStats(directory),
    blkio: ioStats(directory),
    hugetlb: enabled.includes("hugetlb") ? hugetlbStats(directory, hugePageSizes()) : {},
    intel_rdt: {},
    network_interfaces: null,
  };
}
