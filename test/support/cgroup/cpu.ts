/** Section of the conformance suite of cgroup drivers: `linux.resources.cpu`. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { LinuxCpu } from "../../../src/spec/runtime/resources.ts";
import { type Bench, type Container, errorOf, where } from "./bench.ts";
import { becomeRealtime, REFUSED } from "./programs.ts";

const SPIN = "while :; do :; done";
/** Seconds of CPU time that two cgroups use before they are compared. */
const ENOUGH = 0.3;

/** A line of /proc/PID/status. */
function statusOf({ init }: Container, key: string): string {
  return (
    new RegExp(`^${key}:\\s*(.*)$`, "m").exec(readFileSync(`/proc/${init.pid}/status`, "utf8"))?.[1] ?? ""
  );
}

export function cpuSection(bench: Bench): void {
  const { create, run, until, endOf, has, driver, anyPath } = bench;
  const first = String(has.cpus[0] ?? 0);

  /** Two cgroups that are busy on one CPU: how much of the time went to the first, for each part of the second. */
  function ratio(one: LinuxCpu, other: LinuxCpu): number {
    // Both are there before one is busy: who gets what others leave would take long to come about beside it.
    const pair = [one, other].map((cpu) => create({ cpu: { ...cpu, cpus: first } }, { work: SPIN }));
    for (const { init } of pair) init.go();
    const used = (): number[] => pair.map((container) => container.count("cpuTime"));
    const before = used();
    const now = (): number[] => used().map((time, index) => time - (before[index] ?? 0));
    until("both used the CPU", () => now().reduce((sum, time) => sum + time, 0) > ENOUGH);
    const [mine = 0, others = 0] = now();
    for (const container of pair) driver.killAll(container.paths, 9);
    return mine / others;
  }

  describe.skipIf(!has.controller("cpu"))("cpu", () => {
    test("shares: two busy cgroups share a CPU by their weight", () => {
      expect(ratio({ shares: 2048 }, { shares: 128 })).toBeGreaterThan(4);
    });

    test("idle: gets what others leave", () => {
      expect(ratio({}, { idle: 1 })).toBeGreaterThan(10);
    });

    test("quota and period: who uses more is throttled", () => {
      const container = run(SPIN, { cpu: { quota: 5_000, period: 50_000 } });
      until("it was throttled", () => container.count("throttledPeriods") > 3);
      // A tenth of the time, and as much again for what the kernel notices late; what it notices later still, on a machine
      // whose own processor was taken away meanwhile, it makes the program pay back.
      until("it got no more than its part", () => {
        const [time, periods] = [container.count("cpuTime"), container.count("periods")];
        return time < (periods + 2) * 0.05 * 0.2 + 0.02;
      });
    });

    test("quota: -1 takes it away, and the program is not throttled any more", () => {
      const container = run(SPIN, { cpu: { quota: 5_000, period: 50_000 } });
      until("it was throttled", () => container.count("throttledPeriods") > 0);
      container.update({ cpu: { quota: -1 } });
      const [time, throttled] = [container.count("cpuTime"), container.count("throttledPeriods")];
      until("it runs on", () => container.count("cpuTime") > time + 0.1);
      expect(container.count("throttledPeriods") - throttled).toBeLessThan(2);
    });

    test("burst: what was not used can be used later", () => {
      const busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1";
      const container = run(`while :; do ${busy}; done`, {
        cpu: { quota: 5_000, period: 50_000, burst: 5_000 },
      });
      until("a burst was used", () => container.count("bursts") > 0);
    });

    test("period, quota and burst change together, whichever has to go first, and only when they fit", () => {
      const container = create({ cpu: { period: 50_000, quota: 20_000 } });
      const bandwidth = (): string =>
        has.v1("cpu")
          ? ["quota", "period", "burst"].map((name) => container.read("cpu", `cpu.cfs_${name}_us`)).join(" ")
          : `${container.read("cpu", "cpu.max")} ${container.read("cpu", "cpu.max.burst")}`;
      container.update({ cpu: { burst: 30_000, quota: 40_000, period: 50_000 } });
      expect(bandwidth()).toBe("40000 50000 30000");
      container.update({ cpu: { burst: 5_000, quota: 10_000, period: 100_000 } });
      expect(bandwidth()).toBe("10000 100000 5000");
      expect(errorOf(() => container.update({ cpu: { burst: 30_000 } })).field).toBe(
        "linux.resources.cpu.burst",
      );
      expect(bandwidth()).toBe("10000 100000 5000");
    });

    test("idle and shares change together", () => {
      const container = create({ cpu: { shares: 512 } });
      container.update({ cpu: { idle: 1 } });
      expect(container.read("cpu", "cpu.idle")).toBe("1");
      container.update({ cpu: { shares: 2048, idle: 0 } });
      expect(container.read("cpu", "cpu.idle")).toBe("0");
      // 174: what runc and crun make of 2048 on v2.
      expect(container.read("cpu", "cpu.shares", "cpu.weight")).toBe(has.v1("cpu") ? "2048" : "174");
    });

    test("0 is not set", () => {
      const nothing = { shares: 0, quota: 0, period: 0, realtimeRuntime: 0, realtimePeriod: 0 };
      const container = create({ cpu: nothing });
      expect(container.part.warnings).toEqual([]);
      expect(container.read("cpu", "cpu.shares", "cpu.weight")).toBe(has.v1("cpu") ? "1024" : "100");
      expect(container.read("cpu", "cpu.cfs_quota_us", "cpu.max")).toBe(has.v1("cpu") ? "-1" : "max 100000");
      container.update({ cpu: { shares: 512, quota: 50_000 } });
      container.update({ cpu: nothing });
      expect(container.read("cpu", "cpu.shares", "cpu.weight")).toBe(has.v1("cpu") ? "512" : "59");
      expect(container.read("cpu", "cpu.cfs_quota_us", "cpu.max")).toBe(
        has.v1("cpu") ? "50000" : "50000 100000",
      );
    });

    where(has.v1("cpu") && anyPath, has.realtime)(
      "realtimeRuntime and realtimePeriod: a program may be realtime, and may not without",
      () => {
        // Below the root, whose runtime it is given a part of.
        const path = `/ctr-bun-suite-${process.pid}`;
        const without = create(undefined, { cgroupsPath: `${path}-without` });
        expect(endOf(without.exec(becomeRealtime))).toBe(REFUSED);
        const realtime = { realtimeRuntime: 20_000, realtimePeriod: 500_000 };
        const container = create({ cpu: realtime }, { cgroupsPath: path });
        expect(endOf(container.exec(becomeRealtime))).toBe(0);
        const [runtime, period] = ["cpu.rt_runtime_us", "cpu.rt_period_us"];
        expect([container.read("cpu", runtime), container.read("cpu", period)]).toEqual(["20000", "500000"]);
        container.update({ cpu: { realtimeRuntime: 10_000, realtimePeriod: 15_000 } });
        expect([container.read("cpu", runtime), container.read("cpu", period)]).toEqual(["10000", "15000"]);
      },
    );
  });

  describe.skipIf(!has.controller("cpuset"))("cpuset", () => {
    test("cpus: a process runs where it may, after an update elsewhere", () => {
      const last = String(has.cpus.at(-1) ?? 0);
      const container = create({ cpu: { cpus: first } });
      expect(statusOf(container, "Cpus_allowed_list")).toBe(first);
      container.update({ cpu: { cpus: last } });
      expect(statusOf(container, "Cpus_allowed_list")).toBe(last);
      expect(errorOf(() => container.update({ cpu: { cpus: "4095" } })).field).toBe(
        "linux.resources.cpu.cpus",
      );
      expect(statusOf(container, "Cpus_allowed_list")).toBe(last);
    });

    test("cpus and mems: all of them where none is given", () => {
      const container = create();
      const { cgroup } = bench.subject.host;
      const root = cgroup.controllers.cpuset;
      const all = root === undefined ? `${cgroup.unified}/cpuset.cpus.effective` : `${root}/cpuset.cpus`;
      expect(statusOf(container, "Cpus_allowed_list")).toBe(readFileSync(all, "utf8").trim());
      expect(container.init.ended()).toBeUndefined();
    });

    test("mems: memory comes from where it may", () => {
      const last = String(has.nodes.at(-1) ?? 0);
      const container = create({ cpu: { mems: last } });
      expect(statusOf(container, "Mems_allowed_list")).toBe(last);
      expect(() => create({ cpu: { mems: "500" } })).toThrow("cpuset.mems");
    });
  });
}
