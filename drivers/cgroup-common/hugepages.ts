/**
 * The sizes of huge pages that this host has, as the hugetlb controller spells them in names of files.
 * Source: Documentation/admin-guide/mm/hugetlbpage.rst; mem_fmt() of mm/hugetlb_cgroup.c.
 */
import { O_DIRECTORY, O_RDONLY } from "../../src/kernel/constants.ts";
import { listDirectory, tryOpen, withFd } from "../../src/kernel/file.ts";

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
