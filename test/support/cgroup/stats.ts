/** Section of the conformance suite of cgroup drivers: counters, in the shape of runc's `events --stats`. */
import { expect, test } from "bun:test";
import { type Bench, where } from "./bench.ts";

/** Every one that such a line has, whatever the host. */
const KEYS = ["blkio", "cpu", "cpuset", "hugetlb", "intel_rdt", "memory", "network_interfaces", "pids"];
const PRESSURE = { avg10: expect.any(Number), avg60: expect.any(Number), avg300: expect.any(Number) };

interface Stats {
  readonly cpu: {
    readonly usage: { readonly total: number; readonly user: number; readonly kernel: number };
  };
  readonly memory: { readonly usage: { readonly usage: number; readonly limit: number } };
}

export function statsSection(bench: Bench): void {
  const { run, until, endOf, driver, has } = bench;

  test("counters are in runc's shape, and grow", () => {
    const container = run("while :; do :; done", {
      pids: { limit: 9 },
      memory: { limit: 64 << 20 },
      cpu: { period: 50_000, quota: 5_000 },
    });
    until("it was throttled", () => container.count("throttledPeriods") > 0);
    const stats = driver.stats(container.paths);
    expect(Object.keys(stats).toSorted()).toEqual(KEYS);
    expect(stats).toMatchObject({
      cpu: {
        usage: { total: expect.any(Number), user: expect.any(Number), kernel: expect.any(Number) },
        throttling: {
          periods: expect.any(Number),
          throttledPeriods: expect.any(Number),
        },
      },
      memory: {
        usage: {
          usage: expect.any(Number),
          max: expect.any(Number),
          limit: 64 << 20,
          failcnt: expect.any(Number),
        },
        swap: { limit: expect.anything(), failcnt: expect.any(Number) },
        kernel: {},
        kernelTCP: {},
      },
      pids: { current: 1, limit: 9 },
      network_interfaces: null,
    });
    expect(stats.memory).toHaveProperty(has.v1("memory") ? "raw.rss" : "raw.anon");
    const totals = (): [time: number, memory: number] => {
      const { cpu, memory } = driver.stats(container.paths) as unknown as Stats;
      return [cpu.usage.total, memory.usage.usage];
    };
    const [time, memory] = totals();
    // What the driver says is what the kernel counts, in nanoseconds.
    expect(time / 1e9).toBeLessThanOrEqual(container.count("cpuTime"));
    container.update({ cpu: { quota: -1 } });
    const more = container.exec(
      `awk 'BEGIN { x = "0123456789abcdef"; for (i = 4; i < 21; i++) x = x x; print "holds"; fflush(); system("sleep 60") }'`,
    );
    until("memory is held", () => more.output().startsWith("holds"));
    const [later, larger] = totals();
    expect(later).toBeGreaterThan(time);
    expect(larger).toBeGreaterThan(memory + (1 << 20));
    expect(() =>
      JSON.stringify(stats, (_key, value) => (typeof value === "bigint" ? String(value) : value)),
    ).not.toThrow();
    more.end();
    driver.killAll(container.paths, 9);
    endOf(container.init);
  });

  where(has.unified, has.pressure)("pressure is among them where the kernel tells of it", () => {
    const container = run("while :; do :; done", { cpu: { period: 50_000, quota: 5_000 } });
    until("it waited for a CPU", () => {
      const { cpu } = driver.stats(container.paths) as { cpu: { psi?: { some?: { total: number } } } };
      return Number(cpu.psi?.some?.total) > 0;
    });
    const lines = { some: { ...PRESSURE, total: expect.any(Number) } };
    const both = { ...lines, full: { ...PRESSURE, total: expect.any(Number) } };
    expect(driver.stats(container.paths)).toMatchObject({
      cpu: { psi: lines },
      memory: { psi: both },
      blkio: { psi: both },
    });
  });

  test("a container without limits says so as runc does", () => {
    const container = run("exec sleep 60");
    const stats = driver.stats(container.paths);
    const limit = bench.usualTasks === "max" ? {} : { limit: Number(bench.usualTasks) };
    expect(stats.pids).toEqual({ current: expect.any(Number), ...limit });
  });
}
