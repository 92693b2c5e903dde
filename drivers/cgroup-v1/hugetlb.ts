/**
 * The v1 hugetlb controller: `linux.resources.hugepageLimits`. Source: Documentation/admin-guide/cgroup-v1/hugetlb.rst.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { hugePageSettings } from "../cgroup-common/hugepages.ts";
import { omitEmpty, readCounter } from "../cgroup-common/read.ts";
import type { Controller } from "../cgroup-common/setting.ts";

export const hugetlb: Controller = {
  name: "hugetlb",
  settings: ({ hugepageLimits }) => hugePageSettings(hugepageLimits, "limit_in_bytes"),
};

/** `hugetlb` of the counters, by page size. */
export function hugetlbStats(directory: string, sizes: readonly string[]): CgroupStats {
  const stats: Record<string, CgroupStats> = {};
  for (const size of sizes) {
    const reserved = `hugetlb.${size}.rsvd`;
    const prefix =
      readCounter(directory, `${reserved}.usage_in_bytes`) === undefined ? `hugetlb.${size}` : reserved;
    const usage = readCounter(directory, `${prefix}.usage_in_bytes`);
    if (usage === undefined) continue;
    const max = readCounter(directory, `${prefix}.max_usage_in_bytes`);
    stats[size] = { ...omitEmpty({ usage, max }), failcnt: readCounter(directory, `${prefix}.failcnt`) ?? 0 };
  }
  return stats;
}
