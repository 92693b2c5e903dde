/** What a plan refuses of user namespaces and their maps, which the kernel would only call EINVAL. */
import { describe, expect, test } from "bun:test";
import { errorLine } from "../../../src/error.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { idMapText } from "../../../src/plan/user-maps.ts";
import type { IdMapping } from "../../../src/spec/runtime/config.ts";
import { errorOf, planInput, smallConfig } from "./inputs.ts";

const GOOD: readonly IdMapping[] = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const range = (containerID: number, hostID: number, size = 1): IdMapping => ({ containerID, hostID, size });

function plan(uid: readonly IdMapping[], gid: readonly IdMapping[] = GOOD) {
  const linux = {
    namespaces: [{ type: "mount" as const }, { type: "user" as const }],
    uidMappings: [...uid],
    gidMappings: [...gid],
  };
  return makePlan(planInput(smallConfig({ linux })));
}
const refusal = (...args: Parameters<typeof plan>) => errorLine(errorOf(() => plan(...args)));
const many = (count: number, start: number) =>
  Array.from({ length: count }, (_, at) => range(at, start + 2 * at));

describe("a map is refused", () => {
  test("that has more ranges than the kernel takes", () => {
    expect(() => plan(many(340, 10))).not.toThrow();
    expect(refusal(many(341, 10))).toBe("linux.uidMappings: 341 ranges: the kernel takes at most 340");
    expect(refusal(GOOD, many(341, 10))).toBe("linux.gidMappings: 341 ranges: the kernel takes at most 340");
  });

  test("whose text is a page or more", () => {
    // `0 1 1\n` is 6 bytes, and each of the others 25: 4096 bytes with one of 27 among them.
    const long = (count: number) =>
      Array.from({ length: count }, (_, at) => range(1_000_000_000 + 2 * at, 2_000_000_000 + 2 * at));
    const most = [range(0, 1), ...long(170)];
    expect(idMapText(most).length).toBe(4086);
    expect(() => plan(most)).not.toThrow();
    const full = [range(0, 1_000_000_000, 1), ...long(170)];
    expect(idMapText(full).length).toBe(4095);
    expect(() => plan(full)).not.toThrow();
    const over = [range(0, 1_000_000_000, 10), ...long(170)];
    expect(refusal(over)).toBe(
      "linux.uidMappings: 171 ranges make a map of 4096 bytes: the kernel takes less than a page, 4096 bytes",
    );
  });

  test("in which an ID stands twice, on either side", () => {
    expect(refusal([range(50, 1000, 10), range(0, 2000, 51)])).toBe(
      "linux.uidMappings[1].containerID: overlaps with linux.uidMappings[0]",
    );
    expect(refusal(GOOD, [range(0, 1000, 10), range(10, 1009)])).toBe(
      "linux.gidMappings[1].hostID: overlaps with linux.gidMappings[0]",
    );
    expect(() => plan([range(10, 1000, 10), range(0, 1010, 10), range(20, 990, 10)])).not.toThrow();
  });

  test("in which the container has no root", () => {
    expect(refusal([range(1, 1000)])).toBe(
      "linux.uidMappings: the container's ID 0 is not mapped: there would be no root to make it",
    );
  });
});

test("the user namespace that ctr-bun is in is refused by its path", () => {
  const linux = {
    namespaces: [{ type: "mount" as const }, { type: "user" as const, path: "/proc/self/ns/user" }],
  };
  const input = planInput(smallConfig({ linux }), { facts: { hostsOwn: ["user"] } });
  expect(errorLine(errorOf(() => makePlan(input)))).toBe(
    "linux.namespaces[1].path: the user namespace that ctr-bun is in already cannot be joined",
  );
});
