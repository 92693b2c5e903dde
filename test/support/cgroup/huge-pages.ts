/** Section of the conformance suite of cgroup drivers: `linux.resources.hugepageLimits`. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Bench, type Container, errorOf } from "./bench.ts";
import { mapHugePages, REFUSED } from "./programs.ts";

const PAGE = 2 << 20;

/** How often the limits stood in the way: that of reservations counts pages that are used without one, too. */
function refusals({ paths }: Container): number {
  if (paths.hugetlb === undefined)
    return Number(/^max (\d+)$/m.exec(readFileSync(`${paths.unified}/hugetlb.2MB.events`, "utf8"))?.[1]);
  const counts = ["hugetlb.2MB.failcnt", "hugetlb.2MB.rsvd.failcnt"].map((file) =>
    Number(readFileSync(`${paths.hugetlb}/${file}`, "utf8")),
  );
  return counts.reduce((sum, count) => sum + count);
}

export function hugePagesSection(bench: Bench): void {
  const { create, endOf, has, driver } = bench;

  describe.skipIf(!has.controller("hugetlb"))("hugepageLimits", () => {
    const limits = (limit: number) => ({ hugepageLimits: [{ pageSize: "2MB", limit }] });

    test.skipIf(has.hugePages < 4)("a reservation beyond the limit is refused, and counted", () => {
      const container = create(limits(2 * PAGE));
      expect(endOf(container.exec(mapHugePages(2 * PAGE, true)))).toBe(0);
      expect(refusals(container)).toBe(0);
      expect(endOf(container.exec(mapHugePages(3 * PAGE, true)))).toBe(REFUSED);
      expect(refusals(container)).toBeGreaterThan(0);
      expect(driver.stats(container.paths)).toMatchObject({
        hugetlb: { "2MB": { failcnt: expect.any(Number) } },
      });
    });

    test.skipIf(has.hugePages < 4)("so is using a page beyond the limit that nobody reserved", () => {
      const container = create(limits(2 * PAGE));
      expect(endOf(container.exec(mapHugePages(2 * PAGE, false)))).toBe(0);
      expect(endOf(container.exec(mapHugePages(3 * PAGE, false)))).toBe(REFUSED);
      expect(refusals(container)).toBeGreaterThan(0);
    });

    test.skipIf(has.hugePages < 4)("an update is felt at once", () => {
      const container = create(limits(PAGE));
      expect(endOf(container.exec(mapHugePages(2 * PAGE, true)))).toBe(REFUSED);
      container.update(limits(2 * PAGE));
      expect(endOf(container.exec(mapHugePages(2 * PAGE, true)))).toBe(0);
    });

    test("a size that the host does not have is an error that says so", () => {
      const error = errorOf(() => create({ hugepageLimits: [{ pageSize: "3MB", limit: 1 }] }));
      expect(error.message).toContain("hugetlb.3MB.");
      expect(errorOf(() => create().update({ hugepageLimits: [{ pageSize: "3MB", limit: 1 }] })).field).toBe(
        "linux.resources.hugepageLimits[0]",
      );
    });
  });
}
