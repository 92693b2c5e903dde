/**
 * Huge pages: the sizes that this host has, as the hugetlb controller spells them in names of files, and
 * `linux.resources.hugepageLimits`.
 * Source: Documentation/admin-guide/mm/hugetlbpage.rst; mem_fmt() of mm/hugetlb_cgroup.c.
 */
import { O_DIRECTORY, O_RDONLY } from "../../src/kernel/constants.ts";
import { listDirectory, tryOpen, withFd } from "../../src/kernel/file.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import type { Setting } from "./setting.ts";

const NO_SIZE = { ENOENT: "this host has no pages of that size (/sys/kernel/mm/hugepages)" };

/** @param file what a limit is called in this version of cgroups, behind the size. */
export function hugePageSettings(limits: LinuxResources["hugepageLimits"] = [], file: string): Setting[] {
  return limits.flatMap(({ pageSize, limit }, index) => {
    const [field, data] = [`hugepageLimits[${index}]`, String(limit)];
    return [
      { field, file: `hugetlb.${pageSize}.${file}`, data, hints: NO_SIZE },
      // Reservations are held too where the kernel can (since 5.7); the limit above is there in any case.
      { field, file: `hugetlb.${pageSize}.rsvd.${file}`, data, allow: ["ENOENT"] },
    ];
  });
}

/** `["2MB", "1GB"]`. */
export function hugePageSizes(): string[] {
  const fd = tryOpen("/sys/kernel/mm/hugepages", O_RDONLY | O_DIRECTORY);
  return fd < 0
    ? []
    : withFd(fd, (directory) => listDirectory(directory).flatMap(({ name }) => sizeOf(name)));
}

/** `hugepages-2048kB` to `2MB`. */
export function sizeOf(name: string): string[] {
  if (!name.startsWith("hugepages-") || !name.endsWith("kB")) return [];
  const kilobytes = Number(name.slice("hugepages-".length, -2));
  if (!Number.isSafeInteger(kilobytes)) return [];
  if (kilobytes >= 1 << 20) return [`${Math.floor(kilobytes / (1 << 20))}GB`];
  return [kilobytes >= 1 << 10 ? `${Math.floor(kilobytes / (1 << 10))}MB` : `${kilobytes}KB`];
}
