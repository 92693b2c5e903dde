/** What of linux.resources systemd is told, by its version. */
import { describe, expect, test } from "bun:test";
import { devicePolicy } from "../../../drivers/cgroup-common/devices.ts";
import { deviceEntries, deviceProperties } from "../../../drivers/cgroup-systemd/devices.ts";
import {
  legacyProperties,
  tasksProperties,
  unifiedProperties,
} from "../../../drivers/cgroup-systemd/properties.ts";
import type { UnitProperty } from "../../../src/kernel/systemd.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";

const INFINITY = 2n ** 64n - 1n;

/** `NAME=VALUE`, bytes in hexadecimal. */
const shown = (properties: readonly UnitProperty[]): string[] =>
  properties.map(([name, { value }]) => {
    if (value === INFINITY) return `${name}=infinity`;
    return `${name}=${value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value}`;
  });
const unified = (resources: LinuxResources, version = 252) => shown(unifiedProperties(resources, version));
const legacy = (resources: LinuxResources, version = 252) => shown(legacyProperties(resources, version));

describe("on cgroup v2", () => {
  test("limits are the values that the files get, where systemd has them", () => {
    const resources: LinuxResources = {
      memory: { limit: 1 << 26, swap: 1 << 27, reservation: 1 << 25 },
      cpu: { shares: 1024, quota: 20_000, period: 50_000, cpus: "0-2,9", mems: "0" },
      blockIO: { weight: 10 },
    };
    expect(unified(resources)).toEqual([
      "MemoryMax=67108864",
      "MemoryLow=33554432",
      "MemorySwapMax=67108864",
      "CPUWeight=100",
      "CPUQuotaPeriodUSec=50000",
      "CPUQuotaPerSecUSec=400000",
      "AllowedCPUs=0702",
      "AllowedMemoryNodes=01",
      "IOWeight=1",
    ]);
  });

  test("no limit is infinity, and what is not set is left as it is", () => {
    expect(unified({ memory: { limit: -1, swap: -1 }, cpu: { quota: -1 } })).toEqual([
      "MemoryMax=infinity",
      "MemorySwapMax=infinity",
      "CPUQuotaPerSecUSec=infinity",
    ]);
    expect(unified({ memory: { limit: 0 }, cpu: { shares: 0, quota: 0, period: 0, cpus: "" } })).toEqual([]);
  });

  test("a quota that is no whole percent is rounded up: never less than was asked for", () => {
    expect(unified({ cpu: { quota: 12_345, period: 50_000 } })).toContain("CPUQuotaPerSecUSec=250000");
    expect(unified({ cpu: { quota: 1_001 } })).toEqual(["CPUQuotaPerSecUSec=20000"]);
  });

  test("a systemd is not told of what came after it", () => {
    const resources: LinuxResources = {
      cpu: { shares: 512, quota: 1000, period: 10_000, cpus: "0", idle: 1 },
      unified: { "memory.oom.group": "1", "memory.zswap.max": "max" },
    };
    expect(unified(resources, 241)).toEqual(["CPUWeight=59", "CPUQuotaPerSecUSec=100000"]);
    expect(unified(resources, 244)).toEqual([
      "CPUWeight=59",
      "CPUQuotaPeriodUSec=10000",
      "CPUQuotaPerSecUSec=100000",
      "AllowedCPUs=01",
    ]);
    expect(unified(resources, 252)[0]).toBe("CPUWeight=0");
    expect(unified(resources, 253).slice(-2)).toEqual(["OOMPolicy=kill", "MemoryZSwapMax=infinity"]);
  });

  test("files of unified are properties where systemd has one, and nobody's guess where they make no sense", () => {
    const files = {
      "memory.high": "1000",
      "memory.max": "max",
      "memory.min": "5",
      "memory.swap.max": "0",
      "cpu.max": "5000 20000",
      "cpu.weight": "77",
      "cpuset.cpus": "1",
      "io.weight": "default 40",
      "hugetlb.2MB.max": "0",
    };
    expect(unified({ unified: files })).toEqual([
      "MemoryHigh=1000",
      "MemoryMax=infinity",
      "MemoryMin=5",
      "MemorySwapMax=0",
      "CPUQuotaPeriodUSec=20000",
      "CPUQuotaPerSecUSec=250000",
      "CPUWeight=77",
      "AllowedCPUs=02",
      "IOWeight=40",
    ]);
    expect(unified({ unified: { "memory.max": "lots", "cpu.max": "a b c", "cpu.weight": "-1" } })).toEqual(
      [],
    );
    expect(unified({ cpu: { cpus: "0-99999999999" } })).toEqual([]);
  });
});

test("on cgroup v1 limits have the names of v1", () => {
  const resources: LinuxResources = {
    memory: { limit: 1 << 26, swap: 1 << 27 },
    cpu: { shares: 512, quota: 50_000 },
    blockIO: { weight: 300 },
  };
  expect(legacy(resources)).toEqual([
    "MemoryLimit=67108864",
    "CPUShares=512",
    "CPUQuotaPerSecUSec=500000",
    "BlockIOWeight=300",
  ]);
});

test("a limit of tasks leaves room for the process that makes the container's, at first", () => {
  const tasks = (limit: number) => {
    const { first, last } = tasksProperties({ pids: { limit } });
    return [...shown(first), ...shown(last)];
  };
  expect(tasks(7)).toEqual(["TasksMax=7", "TasksMax=7"]);
  expect(tasks(-1)).toEqual(["TasksMax=infinity", "TasksMax=infinity"]);
  expect(tasks(1)).toEqual(["TasksMax=2", "TasksMax=1"]);
  expect(tasks(0)).toEqual(["TasksMax=2", "TasksMax=1"]);
  expect(shown(tasksProperties({ unified: { "pids.max": "9" } }).last)).toEqual(["TasksMax=9"]);
  expect(tasksProperties({})).toEqual({ first: [], last: [] });
});

describe("devices", () => {
  const rule = (allow: boolean, type: "c" | "b" | "a", major?: number, minor?: number, access = "rwm") => ({
    allow,
    type,
    access,
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
  });

  // Making any device node is always allowed, as in runc: "m" is in every entry.
  test("are what is allowed, as systemd names it", () => {
    const { entries, exact } = deviceEntries(
      devicePolicy([rule(true, "c", 10, 229, "rw"), rule(true, "b", 8)]),
    );
    expect(exact).toBe(true);
    expect(entries).toContainEqual(["/dev/char/10:229", "rwm"]);
    expect(entries).toContainEqual(["block-8", "rwm"]);
    expect(entries).toContainEqual(["char-pts", "rwm"]);
    expect(entries).toContainEqual(["char-*", "m"]);
  });

  test("have one entry each, with all that any rule gives: systemd takes the last of two", () => {
    const { entries } = deviceEntries(devicePolicy([rule(true, "c", undefined, 11, "w")]));
    expect(entries.filter(([name]) => name === "char-*")).toEqual([["char-*", "wm"]]);
  });

  test("are all without a rule", () => {
    expect(shown(deviceProperties(devicePolicy([{ allow: true, access: "rwm" }]), true))).toEqual([
      "DevicePolicy=auto",
      "DeviceAllow=",
    ]);
  });

  test("with exceptions are refused where systemd's own list is what counts, and are wider where it is not", () => {
    const policies = [
      [{ allow: true, access: "rwm" }, rule(false, "c", 10, 229)],
      [rule(true, "c", 10), rule(false, "c", 10, 229)],
      [rule(true, "c", undefined, 229)],
    ];
    for (const rules of policies) {
      const policy = devicePolicy(rules);
      expect(() => deviceProperties(policy, true)).toThrow("systemd cannot take exceptions");
      expect(deviceProperties(policy, false).length).toBeGreaterThan(1);
    }
    const wide = deviceEntries(
      devicePolicy([rule(true, "c", 10, undefined, "r"), rule(false, "c", 10, 229)]),
    );
    expect(wide.entries).toContainEqual(["char-10", "rm"]);
  });
});
