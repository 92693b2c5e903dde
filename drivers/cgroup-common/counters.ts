/**
 * Counters that are the same on both versions, in the shape of the `data` of runc's `events --stats` (types/events.go of
 * opencontainers/runc). Not here: those of one version (its stats.ts, and one file a controller).
 */
import type { CgroupStats } from "../../src/driver.ts";
import { omitEmpty, readCounter, UNLIMITED } from "./read.ts";

/** `pids` of the counters. No limit is 0, as in runc. */
export function pidsStats(directory: string): CgroupStats {
  const limit = readCounter(directory, "pids.max") ?? 0;
  return omitEmpty({
    current: readCounter(directory, "pids.current"),
    limit: limit === UNLIMITED ? 0 : limit,
  });
}

/** `cpuset` where nothing is counted: runc's shape has the zeros. */
export const NO_CPUSET: CgroupStats = {
  cpu_exclusive: 0,
  mem_hardwall: 0,
  mem_exclusive: 0,
  memory_migrate: 0,
  memory_spread_page: 0,
  memory_spread_slab: 0,
  memory_pressure: 0,
  sched_load_balance: 0,
  sched_relax_domain_level: 0,
};
