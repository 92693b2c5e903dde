/** Maps of a new user namespace (user_namespaces(7)): what the kernel would only call EINVAL, said before. Pure. */
import type { Host } from "../driver.ts";
import { fail } from "../error.ts";
import type { IdMapping } from "../spec/runtime/config.ts";

/** UID_GID_MAP_MAX_EXTENTS (include/linux/user_namespace.h). */
const MOST_RANGES = 340;
/** A map is one write of less than a page; arm64 has pages of up to 64 KiB. */
const PAGE: Readonly<Record<Host["arch"], number>> = { x86_64: 4096, aarch64: 65_536 };

/** The text of uid_map and gid_map. */
export function idMapText(map: readonly IdMapping[]): string {
  return map.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
}

/** Whether a map is of one ID alone, that of ctr-bun itself: it takes no capability (user_namespaces(7)). */
export function isOwnAlone(map: readonly IdMapping[], own: number | undefined): boolean {
  const [first, ...rest] = map;
  return rest.length === 0 && first?.size === 1 && first.hostID === own;
}

/** Refuses a map that the kernel takes in no case. `field`: linux.uidMappings or linux.gidMappings. */
export function checkIdMap(field: string, map: readonly IdMapping[], arch: Host["arch"]): void {
  if (map.length > MOST_RANGES) {
    throw fail({
      code: "INVALID_CONFIG",
      field,
      message: `${map.length} ranges: the kernel takes at most ${MOST_RANGES}`,
      hint: "join ranges that follow each other",
    });
  }
  const { length } = idMapText(map);
  if (length >= PAGE[arch]) {
    throw fail({
      code: "INVALID_CONFIG",
      field,
      message: `${map.length} ranges make a map of ${length} bytes: the kernel takes less than a page, ${PAGE[arch]} bytes`,
      hint: "join ranges that follow each other",
    });
  }
  for (const side of ["containerID", "hostID"] as const) {
    const sorted = map
      .map((range, index) => ({ range, index }))
      .sort((a, b) => a.range[side] - b.range[side]);
    for (let at = 1; at < sorted.length; at++) {
      const [before, after] = [sorted[at - 1], sorted[at]];
      if (before === undefined || after === undefined) continue;
      if (before.range[side] + before.range.size <= after.range[side]) continue;
      throw fail({
        code: "INVALID_CONFIG",
        field: `${field}[${Math.max(before.index, after.index)}].${side}`,
        message: `overlaps with ${field}[${Math.min(before.index, after.index)}]`,
        hint: "each ID may be mapped once",
      });
    }
  }
  if (!map.some(({ containerID }) => containerID === 0)) {
    throw fail({
      code: "INVALID_CONFIG",
      field,
      message: "the container's ID 0 is not mapped: there would be no root to make it",
      hint: "add a range with containerID 0",
    });
  }
}
