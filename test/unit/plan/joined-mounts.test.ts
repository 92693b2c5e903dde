/** What may be mounted in a mount namespace that is joined, and in which it may not. */
import { describe, expect, test } from "bun:test";
import type { JoinedMounts, PlanInput } from "../../../src/plan/input.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { type Change, errorOf, initSteps, planInput, smallConfig } from "./inputs.ts";

describe("in a mount namespace that is joined", () => {
  const joined = (change: Change): RuntimeConfig => {
    const namespaces = [{ type: "mount", path: "/proc/42/ns/mnt" }] as const;
    return smallConfig({ mounts: [], ...change, linux: { namespaces: [...namespaces], ...change.linux } });
  };
  const mounted: Readonly<Record<string, Change>> = {
    "root.readonly": { root: { path: "rootfs", readonly: true } },
    mounts: { mounts: [{ destination: "/a", type: "tmpfs" }] },
    "linux.devices": { linux: { devices: [{ type: "p", path: "/dev/x" }] } },
    "linux.rootfsPropagation": { linux: { rootfsPropagation: "private" } },
    "linux.maskedPaths": { linux: { maskedPaths: ["/a"] } },
    "linux.readonlyPaths": { linux: { readonlyPaths: ["/a"] } },
  };
  const pivots = (input: PlanInput) =>
    initSteps(makePlan(input)).some(({ rows }) => rows.some(({ call }) => call === "pivot_root"));

  const seen = (owner: JoinedMounts["owner"]): JoinedMounts => ({ inode: 7, numbered: false, owner });
  const opened = (input: PlanInput) =>
    makePlan(input).steps.flatMap((step) =>
      step.on === "host" && step.action.do === "open" && step.action.as === "namespace.mount"
        ? [step.action.mountsIn]
        : [],
    );

  for (const [field, change] of Object.entries(mounted)) {
    test(`${field} is refused where it is the host's, and carried out elsewhere`, () => {
      for (const owner of ["ctr-bun", "PID 1"] as const) {
        const input = planInput(joined(change), { facts: { joinedMounts: seen(owner) } });
        expect(errorOf(() => makePlan(input))).toMatchObject({
          code: "INVALID_CONFIG",
          field,
          message: `setting it in the mount namespace of ${owner} would change the host`,
        });
      }
      expect(pivots(planInput(joined(change)))).toBe(true);
    });
  }

  test("the clocks' offsets are written through what was opened before the namespace was entered", () => {
    const namespaces = [{ type: "mount", path: "/proc/42/ns/mnt" }, { type: "time" }] as const;
    const linux = { namespaces: [...namespaces], timeOffsets: { boottime: { secs: 7 } } };
    const rows = initSteps(makePlan(planInput(joined({ linux })))).flatMap((step) => step.rows);
    const opened = rows.findIndex(({ args }) => args.includes("/proc/self/timens_offsets"));
    const joins = rows.findIndex(({ call }) => call === "setns");
    const written = rows.findIndex(({ args }) => args.includes("boottime 7 0\n"));
    expect([opened < joins, joins < written]).toEqual([true, true]);
    expect(rows.filter(({ args }) => args.includes("/proc/self/timens_offsets")).length).toBe(1);
  });

  test("mounts are refused where nobody can tell whose it is", () => {
    const facts = { joinedMounts: seen("unknown") };
    expect(
      errorOf(() => makePlan(planInput(joined({ linux: { maskedPaths: ["/a"] } }), { facts }))),
    ).toMatchObject({
      code: "INVALID_CONFIG",
      field: "linux.maskedPaths",
      message: "whether the mount namespace that is joined is that of PID 1 cannot be seen",
      hint: "looking at /proc/1/ns/mnt takes CAP_SYS_PTRACE, and a /proc that shows PID 1",
    });
    expect(pivots(planInput(joined({}), { facts }))).toBe(false);
  });

  test("mounts are bound to the namespace that was looked at, if any was", () => {
    const config = joined({ linux: { maskedPaths: ["/a"] } });
    const facts = { joinedMounts: seen("other") };
    expect(opened(planInput(config, { facts }))).toEqual([{ inode: 7, numbered: false }]);
    expect(opened(planInput(config))).toEqual([{ inode: undefined, numbered: false }]);
    expect(opened(planInput(joined({}), { facts }))).toEqual([undefined]);
  });

  test("a config that mounts nothing leaves the root of the others alone, in the host's too", () => {
    expect(pivots(planInput(joined({})))).toBe(false);
    expect(pivots(planInput(joined({}), { facts: { joinedMounts: seen("PID 1") } }))).toBe(false);
  });
});
