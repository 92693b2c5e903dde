/** What of linux.resources systemd is told, by its version. */
import { describe, expect, test } from "bun:test";
import { devicePolicy } from "../../../drivers/cgroup-common/devices.ts";
import { blockWeightForBfq, weightForBfq } from "../../../drivers/cgroup-systemd/bfq.ts";
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

  test("files of unified are properties where systemd has one", () => {
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
  });

  test.each([
    ["memory.max", "64M", "MemoryMax=67108864"],
    ["memory.high", " 0x2800000\n", "MemoryHigh=41943040"],
    ["memory.low", "010k", "MemoryLow=8192"],
    ["memory.min", "max", "MemoryMin=infinity"],
    ["memory.swap.max", "1g", "MemorySwapMax=1073741824"],
    ["cpu.weight", "0x4d", "CPUWeight=77"],
    ["cpu.weight.nice", "-20", "CPUWeight=8668"],
    ["cpu.weight.nice", "0", "CPUWeight=100"],
    ["cpu.weight.nice", "19", "CPUWeight=1"],
    ["io.bfq.weight", "300", undefined],
    ["cpu.idle", "1", "CPUWeight=0"],
    ["cpu.idle", "0", "CPUWeight=100"],
    ["io.weight", "8:0 300\ndefault 40\n8:16 7", "IOWeight=40"],
    ["io.weight", "40", "IOWeight=40"],
    ["io.weight", "8:0 300", undefined],
    ["cpuset.cpus", "0-7:1/4, 9", "AllowedCPUs=1102"],
    ["cpuset.cpus", "", "AllowedCPUs="],
    ["memory.zswap.max", "nonsense", undefined],
  ])("%s of %j is %s", (file, text, expected) => {
    expect(unified({ unified: { [file]: text } })).toEqual(expected === undefined ? [] : [expected]);
  });

  test.each([
    ["memory.max", "lots"],
    ["memory.max", "08"],
    ["memory.max", "64MB"],
    ["memory.max", "-1"],
    ["memory.max", "16E"],
    ["cpu.max", "a b c"],
    ["cpu.weight", "-1"],
    ["cpu.weight", "10001"],
    ["cpu.weight.nice", "20"],
    ["cpu.idle", "2"],
    ["io.weight", "default"],
    ["cpuset.cpus", "all"],
    ["cpuset.mems", "3-1"],
  ])("%s of %j is refused by its name: systemd would write something else over it", (file, text) => {
    expect(() => unified({ unified: { [file]: text } })).toThrow(
      expect.objectContaining({
        code: "INVALID_CONFIG",
        field: `linux.resources.unified.${file}`,
        message: `${JSON.stringify(text)} cannot be told to systemd, which writes that file too`,
      }),
    );
  });

  test("a list of CPUs that no kernel has is refused", () => {
    expect(() => unified({ cpu: { cpus: "0-99999999999" } })).toThrow("cannot be told to systemd");
  });

  test("an end of idle is the weight of the shares, or the usual one", () => {
    expect(unified({ cpu: { idle: 0, shares: 512 } })).toEqual(["CPUWeight=59"]);
    expect(unified({ cpu: { idle: 0 } })).toEqual(["CPUWeight=100"]);
    expect(unified({ cpu: { idle: 0 } }, 251)).toEqual([]);
  });
});

test("of a quota without a period that is the one asked for beside it", () => {
  expect(unified({ cpu: { period: 20_000 }, unified: { "cpu.max": "5000" } }).slice(-2)).toEqual([
    "CPUQuotaPeriodUSec=20000",
    "CPUQuotaPerSecUSec=250000",
  ]);
});

test("every weight of BFQ's is one of systemd's, which makes the same of it again", () => {
  // What systemd writes to io.bfq.weight (BFQ_WEIGHT() of src/basic/cgroup-util.h).
  const written = (weight: bigint) => (weight <= 100n ? weight : 100n + ((weight - 100n) * 900n) / 9900n);
  for (let weight = 1n; weight <= 1000n; weight++) {
    const told = weightForBfq(weight);
    expect(told >= 1n && told <= 10_000n).toBe(true);
    expect(written(told)).toBe(weight);
    if (weight >= 10n && weight <= 181n) expect(written(blockWeightForBfq(weight))).toBe(weight);
  }
  expect([blockWeightForBfq(5n), blockWeightForBfq(182n), blockWeightForBfq(1000n)]).toEqual([
    10n,
    1000n,
    1000n,
  ]);
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
    "BlockIOWeight=1000",
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
  expect(shown(tasksProperties({ unified: { "pids.max": "0x20" } }).last)).toEqual(["TasksMax=32"]);
  expect(() => tasksProperties({ unified: { "pids.max": "few" } })).toThrow("cannot be told to systemd");
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
