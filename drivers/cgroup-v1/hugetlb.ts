/**
 * The v1 hugetlb controller: `linux.resources.hugepageLimits`. Source: Documentation/admin-guide/cgroup-v1/hugetlb.rst.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { omitEmpty, readCounter } from "../cgroup-common/read.ts";
import type { Controller, Setting } from "../cgroup-common/setting.ts";

const NO_SIZE = { ENOENT: "this host has no pages of that size (/sys/kernel/mm/hugepages)" };

export const hugetlb: Controller = {
  name: "hugetlb",
  settings({ hugepageLimits }) {
    const settings: Setting[] = [];
    for (const [index, { pageSize, limit }] of (hugepageLimits ?? []).entries()) {
      const [field, data] = [`hugepageLimits[${index}]`, String(limit)];
      settings.push({ field, file: `hugetlb.${pageSize}.limit_in_bytes`, data, hints: NO_SIZE });
      // Reservations are held too where the kernel can (since 5.7); the limit above is there in any case.
      settings.push({ field, file: `hugetlb.${pageSize}.rsvd.limit_in_bytes`, data, allow: ["ENOENT"] });
    }
    return settings;
  },
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
