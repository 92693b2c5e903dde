/**
 * Counters of a container on v1, put together from its controllers in the shape of the `data` of runc's
 * `events --stats` (types/events.go of opencontainers/runc).
 */
import type { CgroupStats } from "../../src/driver.ts";
import { NO_CPUSET, pidsStats } from "../cgroup-common/counters.ts";
import { hugePageSizes } from "../cgroup-common/hugepages.ts";
import { omitEmpty, readPressure } from "../cgroup-common/read.ts";
import { blkioStats } from "./blkio.ts";
import { cpuStats } from "./cpu.ts";
import { cpusetStats } from "./cpuset.ts";
import { hugetlbStats } from "./hugetlb.ts";
import { memoryStats } from "./memory.ts";

const NO_ENTRY = { limit: 0, failcnt: 0 };
const NO_MEMORY = { usage: NO_ENTRY, swap: NO_ENTRY, kernel: NO_ENTRY, kernelTCP: NO_ENTRY, event_count: {} };

/** All of them; a controller that is not mounted counts nothing. Pressure is in the cgroup2 tree, where that is. */
export function readStats(paths: Readonly<Record<string, string>>): CgroupStats {
  const { cpu, cpuacct, cpuset, memory, pids, blkio, hugetlb, unified } = paths;
  const pressure = (file: string): CgroupStats =>
    omitEmpty({ psi: unified === undefined ? undefined : readPressure(unified, file) });
  return {
    cpu: { ...cpuStats(cpu, cpuacct), ...pressure("cpu.pressure") },
    cpuset: cpuset === undefined ? NO_CPUSET : cpusetStats(cpuset),
    memory: {
      ...(memory === undefined ? NO_MEMORY : memoryStats(memory)),
      ...pressure("memory.pressure"),
    },
    pids: pids === undefined ? {} : pidsStats(pids),
    blkio: { ...(blkio === undefined ? {} : blkioStats(blkio)), ...pressure("io.pressure") },
    hugetlb: hugetlb === undefined ? {} : hugetlbStats(hugetlb, hugePageSizes()),
    intel_rdt: {},
    network_interfaces: null,
  };
}
