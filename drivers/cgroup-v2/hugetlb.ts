/**
 * The v2 hugetlb controller: `linux.resources.hugepageLimits`.
 * Source: Documentation/admin-guide/cgroup-v2.rst, "HugeTLB".
 */
import type { CgroupStats } from "../../src/driver.ts";
import { omitEmpty, readCounter, readPairs } from "../cgroup-common/read.ts";
import type { Controller, Setting } from "../cgroup-common/setting.ts";

const NO_SIZE = { ENOENT: "this host has no pages of that size (/sys/kernel/mm/hugepages)" };

export const hugetlb: Controller = {
  name: "hugetlb",
  settings({ hugepageLimits }) {
    const settings: Setting[] = [];
    for (const [index, { pageSize, limit }] of (hugepageLimits ?? []).entries()) {
      const [field, data] = [`hugepageLimits[${index}]`, String(limit)];
      settings.push({ field, file: `hugetlb.${pageSize}.max`, data, hints: NO_SIZE });
      // Reservations are held too where the kernel can (since 5.7); the limit above is there in any case.
      settings.push({ field, file: `hugetlb.${pageSize}.rsvd.max`, data, allow: ["ENOENT"] });
    }
    return settings;
  },
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
