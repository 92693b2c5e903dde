/**
 * Counters of a container on v2, put together from its controllers in the shape of the `data` of runc's
 * `events --stats` (types/events.go of opencontainers/runc).
 */
import type { CgroupStats } from "../../src/driver.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";
import { NO_CPUSET, pidsStats } from "../cgroup-common/counters.ts";
import { hugePageSizes } from "../cgroup-common/hugepages.ts";
import { cpuStats } from "./cpu.ts";
import { hugetlbStats } from "./hugetlb.ts";
import { ioStats } from "./io.ts";
import { memoryStats } from "./memory.ts";

/** All of them; a controller that is not enabled counts nothing. */
export function readStats(directory: string): CgroupStats {
  const enabled = (readTextIfAny(`${directory}/cgroup.controllers`) ?? "").trim().split(" ");
  return {
    cpu: cpuStats(directory),
    cpuset: NO_CPUSET,
    memory: memoryStats(directory),
    pids: pidsStats(directory),
    blkio: ioStats(directory),
    hugetlb: enabled.includes("hugetlb") ? hugetlbStats(directory, hugePageSizes()) : {},
    intel_rdt: {},
    network_interfaces: null,
  };
}
