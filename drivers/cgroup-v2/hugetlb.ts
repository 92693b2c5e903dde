/**
 * The v2 hugetlb controller: `linux.resources.hugepageLimits`.
 * Source: Documentation/admin-guide/cgroup-v2.rst, "HugeTLB".
 */
import type { CgroupStats } from "../../src/driver.ts";
import { hugePageSettings } from "../cgroup-common/hugepages.ts";
import { omitEmpty, readCounter, readPairs } from "../cgroup-common/read.ts";
import type { Controller } from "../cgroup-common/setting.ts";

export const hugetlb: Controller = {
  name: "hugetlb",
  settings: ({ hugepageLimits }) => hugePageSettings(hugepageLimits, "max"),
};

/** `hugetlb` of the counters, by page size. */
export function hugetlbStats(directory: string, sizes: readonly string[]): CgroupStats {
  const stats: Record<string, CgroupStats> = {};
  for (const size of sizes) {
    const usage =
      readCounter(directory, `hugetlb.${size}.rsvd.current`) ??
      readCounter(directory, `hugetlb.${size}.current`);
    if (usage === undefined) continue;
    stats[size] = {
      ...omitEmpty({ usage }),
      failcnt: readPairs(directory, `hugetlb.${size}.events`).max ?? 0,
    };
  }
  return stats;
}
