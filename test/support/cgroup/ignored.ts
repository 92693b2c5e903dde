/**
 * Section of the conformance suite of cgroup drivers: `unified`, what is ignored with a warning, and what cannot be held.
 */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { SIGKILL } from "../../../src/kernel/constants.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { type Bench, errorOf, where } from "./bench.ts";

/** Properties that v2 has nothing like; on v1 some of them can be had. */
const NOT_ON_V2: readonly (readonly [field: string, resources: LinuxResources])[] = [
  ["memory.kernel", { memory: { kernel: 1 << 26 } }],
  ["memory.kernelTCP", { memory: { kernelTCP: 1 << 26 } }],
  ["memory.swappiness", { memory: { swappiness: 10 } }],
  ["memory.disableOOMKiller", { memory: { disableOOMKiller: true } }],
  ["memory.useHierarchy", { memory: { useHierarchy: false } }],
  ["cpu.realtimeRuntime", { cpu: { realtimeRuntime: 1000 } }],
  ["cpu.realtimePeriod", { cpu: { realtimePeriod: 1000 } }],
  ["blockIO.leafWeight", { blockIO: { leafWeight: 100 } }],
];
const NOT_ANYWHERE: typeof NOT_ON_V2 = [
  ["memory.kernel", { memory: { kernel: 1 << 26 } }],
  ["memory.useHierarchy", { memory: { useHierarchy: false } }],
];

export function ignoredSection(bench: Bench): void {
  const { create, endOf, plan, has, subject, usualTasks } = bench;

  for (const [field, resources] of has.version === 2 ? NOT_ON_V2 : NOT_ANYWHERE) {
    test(`${field} is ignored, with a warning that names it, on create and update`, () => {
      const [section = "", property = ""] = field.split(".");
      const container = create(resources);
      for (const warnings of [container.part.warnings, container.update(resources)]) {
        expect(warnings).toHaveLength(1);
        expect(warnings[0]).toContain(`linux.resources.${section}`);
        expect(warnings[0]).toContain(property);
        expect(warnings[0]).toContain("ignored");
      }
    });
  }

  test("what is asked for and cannot be held is an error that names property, file and reason; nothing is left", () => {
    const wrong: readonly (readonly [field: string, file: string, resources: LinuxResources])[] = [
      ["cpu.cpus", "cpuset.cpus", { cpu: { cpus: "4095" } }],
      ["cpu.period", has.version === 1 ? "cpu.cfs_period_us" : "cpu.max", { cpu: { period: 5 } }],
      [
        "blockIO.throttleReadBpsDevice[0]",
        has.version === 1 ? "blkio.throttle.read_bps_device" : "io.max",
        { blockIO: { throttleReadBpsDevice: [{ major: 250, minor: 99, rate: 1 }] } },
      ],
    ];
    for (const [field, file, resources] of wrong) {
      const part = plan(resources);
      const error = errorOf(() => create(resources));
      expect(error.field).toBe(`linux.resources.${field}`);
      expect(`${error.path} ${error.message}`).toContain(file);
      expect(error.errno).toMatch(/^E[A-Z]+$/);
      const left = Object.values(part.paths).filter((path) => existsSync(path));
      expect(left).toEqual([]);
    }
  });

  where(has.version === 1)("a controller that is mounted nowhere is named", () => {
    const { cgroup } = subject.host;
    const { memory, ...controllers } = cgroup.controllers;
    const host = { ...subject.host, cgroup: { ...cgroup, controllers, unified: undefined } };
    const resources = { memory: { limit: 1 << 20 }, devices: [{ allow: true }] };
    const error = errorOf(() => plan(resources, undefined, host));
    expect(error.field).toBe("linux.resources.memory.limit");
    expect(error.message).toContain("memory.limit_in_bytes: the cgroup controller memory is not mounted");
  });

  if (has.unified)
    describe("unified", () => {
      test("any file of the core: the kernel holds what it says", () => {
        const container = create({ unified: { "cgroup.max.descendants": "1" } });
        const directory = container.paths.unified;
        mkdirSync(`${directory}/one`);
        expect(() => mkdirSync(`${directory}/two`)).toThrow("EAGAIN");
        container.update({ unified: { "cgroup.max.descendants": "max" } });
        mkdirSync(`${directory}/two`);
        rmdirSync(`${directory}/two`);
      });

      test("a file that can only be written, of which there is nothing to put back", () => {
        const container = create();
        container.update({ unified: { "cgroup.kill": "1" }, pids: { limit: 7 } });
        expect(endOf(container.init)).toBe(128 + SIGKILL);
      });

      where(has.version === 2)(
        "any file of a controller, which is enabled for it; it wins over the property",
        () => {
          const container = create({
            unified: { "pids.max": "2", "memory.high": "50331648", "memory.oom.group": "1" },
            pids: { limit: 50 },
          });
          expect(container.sh("sleep 60 & sleep 60 & wait").out.toLowerCase()).toContain("fork");
          expect(container.count("forksRefused")).toBeGreaterThan(0);
          expect(container.read("memory", "", "memory.high")).toBe("50331648");
          expect(container.read("memory", "", "memory.oom.group")).toBe("1");
        },
      );

      test("a name that is no file, or no name of a file, is an error that names it", () => {
        for (const name of ["nonsense", "", "../x.max", "cgroup.nonsense", "nonsense.max"]) {
          const error = errorOf(() => create({ unified: { [name]: "1" } }));
          expect(`${error.field} ${error.message}`).toContain(name);
          expect(error.field).toStartWith("linux.resources.unified");
        }
        expect(errorOf(() => create({ unified: { "nonsense.max": "1" } })).message).toContain(
          "does not have the controller nonsense",
        );
        const container = create();
        const error = errorOf(() =>
          container.update({ unified: { "cgroup.nonsense": "1" }, pids: { limit: 7 } }),
        );
        expect(error.field).toBe("linux.resources.unified.cgroup.nonsense");
        expect(container.read("pids", "pids.max")).toBe(usualTasks);
      });
    });

  where(!has.unified)("unified: is an error where there is no such tree", () => {
    const error = errorOf(() => create({ unified: { "memory.high": "1" } }));
    expect([error.field, error.message]).toEqual([
      "linux.resources.unified",
      "cannot be held: this host has no cgroup2 tree",
    ]);
  });
}
