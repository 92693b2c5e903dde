// Limits as people type them: what each flag comes to in Docker's words and in linux.resources, what contradicts what,
// what update may change, and that every bad value is refused with the flag and the way out.

import { describe, expect, test } from "bun:test";
import type { Host, HostCgroup } from "../../../src/driver.ts";
import { cgroupManager, cgroupRequest, checkCgroupManager } from "../../../src/engine/cgroup-manager.ts";
import { cgroupsPathOf, parseCgroupFlags } from "../../../src/engine/config/cgroup-flags.ts";
import { parseDeviceRule } from "../../../src/engine/config/devices.ts";
import {
  kernelMemoryWarnings,
  type LimitFlags,
  parseLimits,
  parseOomScoreAdj,
} from "../../../src/engine/config/limit-flags.ts";
import { changedLimits, limitWarnings, newLimits } from "../../../src/engine/config/limit-rules.ts";
import { limitResources } from "../../../src/engine/config/resources.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { inFlags, warningInFlags } from "../../../src/engine/flag-fields.ts";
import type { HostLimits } from "../../../src/engine/record.ts";
import { type CtrError, fail } from "../../../src/error.ts";

const host = {
  cpus: 4,
  swapLimit: true,
  cpuList: "0-3",
  nodeList: "0",
  diskAt: (path: string) => ({ major: 8, minor: path.length }),
};

const read = (flags: LimitFlags) => newLimits(parseLimits(flags, host));
const resourcesOf = (flags: LimitFlags) => limitResources(read(flags), host);

function refusal(work: () => unknown): Pick<CtrError, "code" | "field" | "message" | "hint"> {
  try {
    work();
  } catch (error) {
    const { code, field, message, hint } = error as CtrError;
    return { code, field, message, hint };
  }
  throw new Error("not refused");
}

describe("a flag becomes a limit", () => {
  const cases: readonly (readonly [LimitFlags, HostLimits, object])[] = [
    [
      { memory: "64m" },
      { memory: 67108864, memorySwap: 134217728 },
      { memory: { limit: 67108864, swap: 134217728 } },
    ],
    [
      { memory: "512k", "memory-swap": "-1" },
      { memory: 524288, memorySwap: -1 },
      { memory: { limit: 524288, swap: -1 } },
    ],
    [
      { memory: "64m", "memory-swap": "64m" },
      { memory: 67108864, memorySwap: 67108864 },
      { memory: { limit: 67108864, swap: 67108864 } },
    ],
    [{ "memory-swap": "-1" }, { memorySwap: -1 }, { memory: { swap: -1 } }],
    [{ "memory-reservation": "1m" }, { memoryReservation: 1048576 }, { memory: { reservation: 1048576 } }],
    [{ "memory-swappiness": "0" }, { memorySwappiness: 0 }, { memory: { swappiness: 0 } }],
    [{ "memory-swappiness": "100" }, { memorySwappiness: 100 }, { memory: { swappiness: 100 } }],
    [{ "oom-kill-disable": true }, { oomKillDisable: true }, { memory: { disableOOMKiller: true } }],
    [{ cpus: "0.5" }, { nanoCpus: 500_000_000 }, { cpu: { quota: 50000, period: 100000 } }],
    [{ cpus: "1.25" }, { nanoCpus: 1_250_000_000 }, { cpu: { quota: 125000, period: 100000 } }],
    [{ "cpu-shares": "512" }, { cpuShares: 512 }, { cpu: { shares: 512 } }],
    [{ "cpu-quota": "20000" }, { cpuQuota: 20000 }, { cpu: { quota: 20000 } }],
    [{ "cpu-quota": "-1" }, { cpuQuota: -1 }, { cpu: { quota: -1 } }],
    [{ "cpu-period": "50000" }, { cpuPeriod: 50000 }, { cpu: { period: 50000 } }],
    [{ cpus: "0", "cpu-quota": "5000" }, { cpuQuota: 5000 }, { cpu: { quota: 5000 } }],
    [
      { "cpu-rt-runtime": "950000", "cpu-rt-period": "1000000" },
      { cpuRealtimePeriod: 1000000, cpuRealtimeRuntime: 950000 },
      { cpu: { realtimePeriod: 1000000, realtimeRuntime: 950000 } },
    ],
    [{ "cpuset-cpus": "0,2-3" }, { cpusetCpus: "0,2-3" }, { cpu: { cpus: "0,2-3" } }],
    [{ "cpuset-mems": "0" }, { cpusetMems: "0" }, { cpu: { mems: "0" } }],
    [{ "pids-limit": "10" }, { pidsLimit: 10 }, { pids: { limit: 10 } }],
    [{ "pids-limit": "0" }, { pidsLimit: -1 }, { pids: { limit: -1 } }],
    [{ "blkio-weight": "500" }, { blkioWeight: 500 }, { blockIO: { weight: 500 } }],
    [
      { "blkio-weight-device": ["/dev/sda:100", "/dev/sda:200"] },
      { blkioWeightDevice: [{ path: "/dev/sda", weight: 200 }] },
      { blockIO: { weightDevice: [{ major: 8, minor: 8, weight: 200 }] } },
    ],
    [
      { "device-read-bps": ["/dev/sda:1mb", "/dev/disk/by-id/a:b:2k"] },
      {
        blkioDeviceReadBps: [
          { path: "/dev/sda", rate: 1048576 },
          { path: "/dev/disk/by-id/a:b", rate: 2048 },
        ],
      },
      {
        blockIO: {
          throttleReadBpsDevice: [
            { major: 8, minor: 8, rate: 1048576 },
            { major: 8, minor: 19, rate: 2048 },
          ],
        },
      },
    ],
    [
      { "device-write-bps": ["/dev/sda:0"] },
      { blkioDeviceWriteBps: [{ path: "/dev/sda", rate: 0 }] },
      { blockIO: { throttleWriteBpsDevice: [{ major: 8, minor: 8, rate: 0 }] } },
    ],
    [
      { "device-read-iops": ["/dev/sda:7"] },
      { blkioDeviceReadIOps: [{ path: "/dev/sda", rate: 7 }] },
      { blockIO: { throttleReadIOPSDevice: [{ major: 8, minor: 8, rate: 7 }] } },
    ],
    [
      { "device-write-iops": ["/dev/sda:9"] },
      { blkioDeviceWriteIOps: [{ path: "/dev/sda", rate: 9 }] },
      { blockIO: { throttleWriteIOPSDevice: [{ major: 8, minor: 8, rate: 9 }] } },
    ],
  ];
  test.each(cases)("%j", (flags, limits, resources) => {
    expect(read(flags)).toEqual(limits);
    expect(resourcesOf(flags)).toEqual(resources);
  });

  test.each<LimitFlags>([
    {},
    { cpus: "0" },
    { cpus: "0.0" },
    { "memory-swap": "0" },
    { "memory-reservation": "0" },
    { "memory-swappiness": "-1" },
    { "cpu-shares": "0" },
    { "cpu-quota": "0" },
    { "cpu-period": "0" },
    { memory: "0" },
    { memory: "0m" },
    { "cpu-rt-period": "0" },
    { "cpu-rt-runtime": "0" },
    { "cpuset-cpus": "" },
    { "blkio-weight": "0" },
    { "kernel-memory": "1g" },
    { "device-read-bps": [] },
  ])("or, as in Docker, none: %j", (flags) => {
    expect(read(flags)).toEqual({});
    expect(resourcesOf(flags)).toEqual({});
  });
});

describe("a value that is none is refused", () => {
  test.each<readonly [LimitFlags, flag: string, message: string]>([
    [{ memory: "-1" }, "--memory", '"-1" is not a size'],
    [{ memory: "x" }, "--memory", '"x" is not a size'],
    [{ "memory-swap": "-2" }, "--memory-swap", '"-2" is not a size'],
    [{ "memory-swap": "1g" }, "--memory-swap", "it needs --memory"],
    [{ memory: "2g", "memory-swap": "1g" }, "--memory-swap", "1073741824 is below --memory"],
    [{ "memory-reservation": "1x" }, "--memory-reservation", '"1x" is not a size'],
    [{ memory: "1m", "memory-reservation": "2m" }, "--memory-reservation", "2097152 is above --memory"],
    [{ "memory-swappiness": "101" }, "--memory-swappiness", '"101" is not from -1 to 100'],
    [{ "memory-swappiness": "" }, "--memory-swappiness", '"" is not from -1 to 100'],
    [{ cpus: "5" }, "--cpus", '"5" is not a number of CPUs'],
    [{ cpus: "-1" }, "--cpus", '"-1" is not a number of CPUs'],
    [{ cpus: "1", "cpu-quota": "1000" }, "--cpus", "it cannot be given with --cpu-quota"],
    [{ cpus: "1", "cpu-period": "1000" }, "--cpus", "it cannot be given with --cpu-period"],
    [{ "cpu-shares": "1" }, "--cpu-shares", '"1" is not from 2 to 262144'],
    [{ "cpu-shares": "262145" }, "--cpu-shares", '"262145" is not from 2 to 262144'],
    [{ "cpu-quota": "999" }, "--cpu-quota", `"999" is not from 1000 to ${Number.MAX_SAFE_INTEGER}`],
    [{ "cpu-quota": "-2" }, "--cpu-quota", `"-2" is not from 1000 to ${Number.MAX_SAFE_INTEGER}`],
    [{ "cpu-period": "999" }, "--cpu-period", '"999" is not from 1000 to 1000000'],
    [{ "cpu-period": "1000001" }, "--cpu-period", '"1000001" is not from 1000 to 1000000'],
    [{ "cpu-rt-period": "x" }, "--cpu-rt-period", `"x" is not from 1 to ${Number.MAX_SAFE_INTEGER}`],
    [{ "cpu-rt-runtime": "1000001" }, "--cpu-rt-runtime", "1000001 is above the period, 1000000"],
    [{ "cpu-rt-runtime": "20", "cpu-rt-period": "10" }, "--cpu-rt-runtime", "20 is above the period, 10"],
    [{ "cpuset-cpus": "4" }, "--cpuset-cpus", "4 is not all available"],
    [{ "cpuset-cpus": "0-63" }, "--cpuset-cpus", "0-63 is not all available"],
    [{ "cpuset-cpus": "3-1" }, "--cpuset-cpus", '"3-1" is not a list of numbers'],
    [{ "cpuset-mems": "1" }, "--cpuset-mems", "1 is not all available"],
    [{ "cpuset-mems": "a" }, "--cpuset-mems", '"a" is not a list of numbers'],
    [{ "pids-limit": "-2" }, "--pids-limit", '"-2" is not a number'],
    [{ "kernel-memory": "x" }, "--kernel-memory", '"x" is not a size'],
    [{ "blkio-weight": "9" }, "--blkio-weight", '"9" is not from 10 to 1000'],
    [{ "blkio-weight": "1001" }, "--blkio-weight", '"1001" is not from 10 to 1000'],
    [
      { "blkio-weight-device": ["/dev/sda"] },
      "--blkio-weight-device",
      '"/dev/sda" is not a device and a value',
    ],
    [{ "blkio-weight-device": ["/dev/sda:5"] }, "--blkio-weight-device", '"5" is not from 10 to 1000'],
    [{ "device-read-bps": ["sda:1mb"] }, "--device-read-bps", '"sda:1mb" is not a device and a value'],
    [{ "device-read-bps": ["/dev/sda:"] }, "--device-read-bps", '"/dev/sda:" is not a device and a value'],
    [{ "device-write-bps": ["/dev/sda:-1"] }, "--device-write-bps", '"-1" is not a size'],
    [
      { "device-read-iops": ["/dev/sda:1k"] },
      "--device-read-iops",
      '"1k" is not a number of operations a second',
    ],
    [
      { "device-write-iops": ["/dev/sda:x"] },
      "--device-write-iops",
      '"x" is not a number of operations a second',
    ],
  ])("%j", (flags, field, message) => {
    const refused = refusal(() => {
      kernelMemoryWarnings(flags);
      read(flags);
    });
    expect(refused).toEqual({ code: "INVALID_FLAG", field, message, hint: expect.any(String) });
  });

  test.each(["-1001", "1001", "", "x"])("--oom-score-adj %j", (text) => {
    expect(refusal(() => parseOomScoreAdj(text))).toMatchObject({
      field: "--oom-score-adj",
      message: `${JSON.stringify(text)} is not from -1000 to 1000`,
    });
  });

  test.each(["", "c 1:3", "c 1:3 x", "d 1:3 r", "c 1 rwm", "c -1:3 r", "c 1:3 rwmr", "c:1:3:r"])(
    "--device-cgroup-rule %j",
    (text) => {
      expect(refusal(() => parseDeviceRule(text))).toMatchObject({
        field: "--device-cgroup-rule",
        message: `${JSON.stringify(text)} is not a rule for devices`,
      });
    },
  );
});

test("a score of 0 is one that was asked for", () => {
  expect(["0", "-1000", "+500"].map(parseOomScoreAdj)).toEqual([0, -1000, 500]);
  expect(parseOomScoreAdj(undefined)).toBeUndefined();
});

test("a rule for devices allows what it names, and all of them only where it says so", () => {
  expect(parseDeviceRule("c 1:3 rwm")).toEqual([
    { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
  ]);
  expect(parseDeviceRule("b 7:* r")).toEqual([{ allow: true, type: "b", major: 7, access: "r" }]);
  expect(parseDeviceRule("a *:* rwm")).toEqual([{ allow: true, access: "rwm" }]);
  // For the kernel a rule of type a means everything, whatever its numbers.
  expect(parseDeviceRule("a 10:* rw")).toEqual([
    { allow: true, type: "c", major: 10, access: "rw" },
    { allow: true, type: "b", major: 10, access: "rw" },
  ]);
  expect(parseDeviceRule("a *:* r")).toHaveLength(2);
});

describe("what a person should know", () => {
  test("is told in flags", () => {
    expect(kernelMemoryWarnings({ "kernel-memory": "1m" })).toEqual([
      "--kernel-memory is ignored: kernels since 5.16 no longer limit kernel memory alone",
    ]);
    expect(limitWarnings(read({ "oom-kill-disable": true }), host)).toEqual([
      expect.stringContaining("--oom-kill-disable without --memory"),
    ]);
    expect(limitWarnings(read({ "oom-kill-disable": true, memory: "1g" }), host)).toEqual([]);
    expect(
      warningInFlags("linux.resources.memory.swappiness is ignored: cgroup v2 has nothing like it"),
    ).toBe("--memory-swappiness is ignored: cgroup v2 has nothing like it");
  });

  test("of realtime on v2 is told of both flags", () => {
    const text =
      "linux.resources.cpu.realtimeRuntime and realtimePeriod are ignored: cgroup v2 has nothing like them";
    expect(warningInFlags(text)).toBe(
      "--cpu-rt-runtime and --cpu-rt-period are ignored: cgroup v2 has nothing like them",
    );
  });

  test("of swap that the kernel does not count: it is not limited", () => {
    const blind = { ...host, swapLimit: false };
    const limits = read({ memory: "64m", "memory-swap": "65m" });
    expect(limitResources(limits, blind)).toEqual({ memory: { limit: 67108864 } });
    expect(limitWarnings(limits, blind)).toHaveLength(1);
    expect(limitWarnings(read({ "memory-swap": "-1" }), blind)).toEqual([]);
  });
});

test.each([
  ["linux.resources.memory.limit", "--memory"],
  ["linux.resources.memory.swap", "--memory-swap"],
  ["linux.resources.memory.reservation", "--memory-reservation"],
  ["linux.resources.memory.swappiness", "--memory-swappiness"],
  ["linux.resources.memory.disableOOMKiller", "--oom-kill-disable"],
  ["linux.resources.cpu.shares", "--cpu-shares"],
  ["linux.resources.cpu.quota", "--cpu-quota"],
  ["linux.resources.cpu.period", "--cpu-period"],
  ["linux.resources.cpu.realtimePeriod", "--cpu-rt-period"],
  ["linux.resources.cpu.realtimeRuntime", "--cpu-rt-runtime"],
  ["linux.resources.cpu.cpus", "--cpuset-cpus"],
  ["linux.resources.cpu.mems", "--cpuset-mems"],
  ["linux.resources.pids.limit", "--pids-limit"],
  ["linux.resources.blockIO.weight", "--blkio-weight"],
  ["linux.resources.blockIO.weightDevice[0].weight", "--blkio-weight-device"],
  ["linux.resources.blockIO.throttleReadBpsDevice[0]", "--device-read-bps"],
  ["linux.resources.blockIO.throttleWriteBpsDevice[1]", "--device-write-bps"],
  ["linux.resources.blockIO.throttleReadIOPSDevice[0]", "--device-read-iops"],
  ["linux.resources.blockIO.throttleWriteIOPSDevice[0]", "--device-write-iops"],
  ['linux.resources.unified["memory.high"]', "--cgroup-conf"],
  ["linux.cgroupsPath", "--cgroup-parent"],
  ["process.oomScoreAdj", "--oom-score-adj"],
])("an error at %s names %s", (field, flag) => {
  expect(inFlags(fail({ code: "CGROUP", field, message: "no" }))).toMatchObject({ field: flag });
});

test("an error at a quota names the flag that it is from", () => {
  const error = fail({ code: "CGROUP", field: "linux.resources.cpu.quota", message: "no" });
  const parts = { mounts: [], requests: [], limits: { nanoCpus: 1 } };
  expect(inFlags(error, parts)).toMatchObject({ field: "--cpus" });
});

describe("update", () => {
  const change = (now: LimitFlags, asked: LimitFlags) => changedLimits(read(now), parseLimits(asked, host));

  test.each<readonly [LimitFlags, LimitFlags, HostLimits]>([
    [{}, { "cpu-shares": "512" }, { cpuShares: 512 }],
    [{ "cpu-shares": "512", "pids-limit": "5" }, { "pids-limit": "-1" }, { cpuShares: 512, pidsLimit: -1 }],
    [{ cpus: "1" }, { cpus: "2" }, { nanoCpus: 2_000_000_000 }],
    [{ cpus: "1" }, { cpus: "0" }, { nanoCpus: 1_000_000_000 }],
    // Docker leaves swap as it was.
    [{ memory: "64m" }, { memory: "96m" }, { memory: 100663296, memorySwap: 134217728 }],
    [{}, { memory: "64m" }, { memory: 67108864 }],
    [{ memory: "64m" }, { memory: "1g", "memory-swap": "-1" }, { memory: 1073741824, memorySwap: -1 }],
    [
      { "device-read-bps": ["/dev/a:1", "/dev/b:2"] },
      { "device-read-bps": ["/dev/b:3"] },
      {
        blkioDeviceReadBps: [
          { path: "/dev/a", rate: 1 },
          { path: "/dev/b", rate: 3 },
        ],
      },
    ],
  ])("of %j with %j", (now, asked, limits) => {
    expect(change(now, asked)).toEqual(limits);
  });

  test.each<readonly [LimitFlags, LimitFlags, flag: string, message: string]>([
    [{ cpus: "1" }, { "cpu-quota": "1000" }, "--cpu-quota", "the container has --cpus already"],
    [{ cpus: "1" }, { "cpu-period": "1000" }, "--cpu-period", "the container has --cpus already"],
    [{ "cpu-quota": "1000" }, { cpus: "1" }, "--cpus", "the container has --cpu-quota already"],
    [{ "cpu-period": "1000" }, { cpus: "1" }, "--cpus", "the container has --cpu-period already"],
    [{}, { cpus: "1", "cpu-quota": "1000" }, "--cpus", "it cannot be given with --cpu-quota"],
    [
      { memory: "64m" },
      { memory: "1g" },
      "--memory",
      "1073741824 is above the container's limit on memory and swap together, 134217728",
    ],
    [{ memory: "64m" }, { "memory-swap": "32m" }, "--memory-swap", "33554432 is below --memory"],
    [{}, { "memory-swap": "32m" }, "--memory-swap", "it needs --memory"],
    [
      { memory: "64m" },
      { "memory-reservation": "65m" },
      "--memory-reservation",
      "68157440 is above --memory",
    ],
  ])("of %j refuses %j", (now, asked, field, message) => {
    expect(refusal(() => change(now, asked))).toEqual({
      code: "INVALID_FLAG",
      field,
      message,
      hint: expect.any(String),
    });
  });
});

describe("who makes the cgroup", () => {
  const systemd = { version: 252, controlGroup: "/" };
  const warnings: string[] = [];
  const manager = (
    mode: HostCgroup["mode"],
    more: object = {},
    setting?: "cgroupfs" | "systemd" | "disabled",
  ) => {
    const cgroup = { mode, unified: undefined, controllers: {}, own: {} };
    const settings = { cgroupManager: setting } as Engine["settings"];
    const warn = (text: string) => void warnings.push(text);
    // Not spread: it may throw when it is looked at.
    return cgroupManager({ settings, warn, host: Object.assign(more, { cgroup }) as Host });
  };

  test("is systemd where it runs on pure v2, and ctr-bun on every other host, as in Docker", () => {
    expect(manager("unified", { systemd })).toBe("systemd");
    expect(manager("hybrid", { systemd })).toBe("cgroupfs");
    expect(manager("legacy", { systemd })).toBe("cgroupfs");
    expect(manager("unified")).toBe("cgroupfs");
  });

  test("is whom the settings name", () => {
    expect(manager("unified", { systemd }, "cgroupfs")).toBe("cgroupfs");
    expect(manager("unified", { systemd }, "disabled")).toBe("disabled");
    expect(manager("hybrid", { systemd }, "systemd")).toBe("systemd");
  });

  test("is ctr-bun, with a warning, where systemd cannot be reached and nobody asked for it", () => {
    const broken = {
      get systemd(): undefined {
        throw fail({ code: "SYSTEMD", message: "cannot reach systemd over D-Bus" });
      },
    };
    expect(manager("unified", broken)).toBe("cgroupfs");
    expect(warnings).toEqual([expect.stringContaining("cannot reach systemd over D-Bus")]);
  });

  test("is not systemd where that does not run", () => {
    const host = { systemd: undefined } as Host;
    expect(refusal(() => checkCgroupManager("systemd", host))).toMatchObject({
      code: "NO_DRIVER",
      field: "--cgroup-manager",
      hint: expect.stringContaining("cgroupfs"),
    });
    checkCgroupManager("cgroupfs", host);
    checkCgroupManager("disabled", host);
    checkCgroupManager("systemd", { systemd } as unknown as Host);
  });

  test("is told to the runtime", () => {
    expect(
      ["cgroupfs", "systemd", "disabled", undefined].map((each) => cgroupRequest(each as "cgroupfs")),
    ).toEqual([{}, { cgroupDriver: "systemd" }, { noCgroup: true }, {}]);
  });
});

describe("where the cgroup is", () => {
  const choose = (
    flags: Parameters<typeof parseCgroupFlags>[0],
    mode: "unified" | "hybrid" | "legacy" = "unified",
  ) => parseCgroupFlags(flags, "cgroupfs", mode);
  const path = (flags: Parameters<typeof parseCgroupFlags>[0]) => cgroupsPathOf(choose(flags), "ID");

  test("is a parent's path and the ID, or ctr-bun's own place", () => {
    expect(path({})).toBeUndefined();
    expect(path({ "cgroup-parent": "/a/b/" })).toBe("/a/b/ID");
    expect(path({ "cgroup-parent": "a" })).toBe("/a/ID");
    expect(path({ "cgroup-parent": "/" })).toBe("/ID");
  });

  test("is a scope of a slice where systemd makes it", () => {
    expect(path({ "cgroup-manager": "systemd" })).toBe("system.slice:ctr-bun:ID");
    expect(path({ "cgroup-manager": "systemd", "cgroup-parent": "a-b.slice" })).toBe("a-b.slice:ctr-bun:ID");
  });

  test("and a namespace of its own hides it on v2 alone, unless asked for, as in Docker", () => {
    expect(choose({}).namespace).toBe("private");
    expect(choose({}, "hybrid").namespace).toBe("host");
    expect(choose({}, "legacy").namespace).toBe("host");
    expect(choose({ cgroupns: "host" }).namespace).toBe("host");
    expect(choose({ cgroupns: "private" }, "hybrid").namespace).toBe("private");
  });

  test("or there is none", () => {
    expect(choose({ cgroups: "disabled" }).manager).toBe("disabled");
    expect(choose({ cgroups: "enabled" }).manager).toBe("cgroupfs");
    expect(choose({ cgroups: "no-conmon" }).manager).toBe("cgroupfs");
  });

  test("and files of it are written by name", () => {
    expect(choose({ "cgroup-conf": ["memory.high=100", "cpu.max=1 2=3", "memory.high=200"] }).conf).toEqual({
      "memory.high": "200",
      "cpu.max": "1 2=3",
    });
  });

  test.each<readonly [Parameters<typeof parseCgroupFlags>[0], flag: string, message: string]>([
    [{ "cgroup-manager": "docker" }, "--cgroup-manager", 'there is no cgroup manager "docker"'],
    [{ cgroups: "x" }, "--cgroups", '"x" is not known'],
    [{ cgroups: "split" }, "--cgroups", "cgroups are not split"],
    [{ cgroups: "enabled", "cgroup-manager": "disabled" }, "--cgroups", "the cgroup manager is disabled"],
    [{ cgroupns: "x" }, "--cgroupns", '"x" is not known'],
    [{ "cgroup-parent": "" }, "--cgroup-parent", "it is empty"],
    [{ "cgroup-parent": "/a/../b" }, "--cgroup-parent", '"/a/../b" is not a plain path'],
    [
      { "cgroup-parent": "/a", cgroups: "disabled" },
      "--cgroup-parent",
      "a container without a cgroup has no parent of it",
    ],
    [
      { "cgroup-parent": "a.slice" },
      "--cgroup-parent",
      '"a.slice" is a slice of systemd\'s, and ctr-bun makes cgroups by itself',
    ],
    [
      { "cgroup-manager": "systemd", "cgroup-parent": "/a" },
      "--cgroup-parent",
      '"/a" is not the name of a slice, which systemd takes',
    ],
    [
      { "cgroup-manager": "systemd", "cgroup-parent": "a--b.slice" },
      "--cgroup-parent",
      '"a--b.slice" is not the name of a slice, which systemd takes',
    ],
    [
      { "cgroup-conf": ["memory.high"] },
      "--cgroup-conf",
      '"memory.high" is not the name of a file with a value',
    ],
    [
      { "cgroup-conf": ["../memory.high=1"] },
      "--cgroup-conf",
      '"../memory.high=1" is not the name of a file with a value',
    ],
    [
      { "cgroup-conf": ["cgroup.procs=1"] },
      "--cgroup-conf",
      "cgroup.procs is no limit: it would move a process of the host into the cgroup",
    ],
  ])("%j is refused", (flags, field, message) => {
    expect(refusal(() => choose(flags))).toMatchObject({ field, message, hint: expect.any(String) });
  });

  test("files of v2 are refused where there is no v2", () => {
    expect(refusal(() => choose({ "cgroup-conf": ["memory.high=1"] }, "legacy"))).toMatchObject({
      field: "--cgroup-conf",
      message: "this host has no cgroup v2",
    });
  });
});
