/** Plans of both drivers on recorded hosts: every step that `linux.resources` leads to. */
import { describe, expect, test } from "bun:test";
import { cgroupV1Driver } from "../../../drivers/cgroup-v1/driver.ts";
import { cgroupV2Driver } from "../../../drivers/cgroup-v2/driver.ts";
import type { CgroupPart, Host } from "../../../src/driver.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { hybrid, legacy, line, unified } from "./fixtures.ts";

const ALL: readonly { allow: boolean }[] = [{ allow: true }];

function plan(host: Host, resources: LinuxResources | undefined): CgroupPart {
  const driver = host.cgroup.mode === "unified" ? cgroupV2Driver : cgroupV1Driver;
  return driver.plan({ id: "c1", cgroupsPath: "/c1", resources, ownNamespace: true }, host);
}

/** `FILE VALUE` of every limit, by plain writes and by those that try another file. */
function writes(host: Host, resources: LinuxResources): string[] {
  const { before, atPid } = plan(host, { devices: [...ALL], ...resources });
  return [...before, ...atPid].flatMap(({ action }) => {
    if (action.do === "write") return [`${action.path.split("/").at(-1)} ${action.data}`];
    if (action.do !== "driver" || action.call !== "write-setting") return [];
    const { setting } = action.args as { setting: { file: string; data: string } };
    return [`${setting.file} ${setting.data}`];
  });
}

describe("what is not asked for takes no step", () => {
  test("on a hybrid host", () => {
    const part = cgroupV1Driver.plan(
      { id: "c1", cgroupsPath: undefined, resources: undefined, ownNamespace: true },
      hybrid,
    );
    const names = Object.keys(hybrid.cgroup.controllers).map((name) => name.replace("name=", ""));
    expect(part.before.map(line)).toEqual([
      "driver prepare",
      ...names.map((name) => `mkdir /sys/fs/cgroup/${name}/ctr-bun/c1`),
      "mkdir /sys/fs/cgroup/unified/ctr-bun/c1",
      "driver cpuset-inherit",
      "driver devices",
      ...Object.keys(hybrid.cgroup.controllers).map(
        (name) => `open cgroup.${name} /sys/fs/cgroup/${name.replace("name=", "")}/ctr-bun/c1/tasks`,
      ),
      "open cgroup.unified /sys/fs/cgroup/unified/ctr-bun/c1",
    ]);
    expect(part.join).toHaveLength(9);
    expect(part.join[0]?.rows).toEqual([{ call: "write", args: [{ fd: "cgroup.cpu" }, "0", 1] }]);
    expect(part.cloneInto).toBe("cgroup.unified");
    expect(part.atPid).toEqual([]);
  });

  test("on a unified host", () => {
    expect(plan(unified, { devices: [...ALL] }).before.map(line)).toEqual([
      "driver prepare",
      "mkdir /sys/fs/cgroup/c1",
      "driver enable-controllers",
      "open cgroup.unified /sys/fs/cgroup/c1",
    ]);
    expect(plan(unified, undefined).before.map(line)).toContain("driver device-program");
  });

  test("nor does what runc takes as not set", () => {
    const zeros: LinuxResources = {
      memory: { limit: 0, reservation: 0, swap: 0, kernel: 0, kernelTCP: 0, disableOOMKiller: false },
      cpu: { shares: 0, quota: 0, period: 0, realtimePeriod: 0, realtimeRuntime: 0, cpus: "", mems: "" },
      blockIO: { weight: 0, leafWeight: 0, weightDevice: [], throttleReadBpsDevice: [] },
      network: { classID: 0, priorities: [] },
      hugepageLimits: [],
      pids: {},
      rdma: {},
      unified: {},
    };
    for (const host of [hybrid, legacy, unified]) {
      expect(writes(host, zeros)).toEqual([]);
      expect(plan(host, zeros).warnings).toEqual([]);
    }
  });
});

test("controllers that are mounted together are made and joined once", () => {
  const part = plan(legacy, { devices: [...ALL] });
  const made = part.before.map(line).filter((one) => one.startsWith("mkdir"));
  expect(made).toHaveLength(new Set(Object.values(legacy.cgroup.controllers)).size);
  expect(part.join).toHaveLength(made.length);
  expect(part.paths.cpuacct).toBe("/sys/fs/cgroup/cpu,cpuacct/c1");
  expect(part.cloneInto).toBeUndefined();
});

test("every level of a given path is a step of its own", () => {
  const request = { id: "c1", cgroupsPath: "/a/b", resources: { devices: [...ALL] }, ownNamespace: true };
  const made = cgroupV2Driver.plan(request, unified).before.map(line);
  expect(made.slice(1, 3)).toEqual(["mkdir /sys/fs/cgroup/a", "mkdir /sys/fs/cgroup/a/b"]);
});

/** Resources, what v1 writes for them, and what v2 does. */
const CASES: Record<string, [LinuxResources, v1: string[], v2: string[]]> = {
  memory: [
    { memory: { limit: 1000, reservation: 500, swap: 3000 } },
    ["memory.limit_in_bytes 1000", "memory.memsw.limit_in_bytes 3000", "memory.soft_limit_in_bytes 500"],
    ["memory.swap.max 2000", "memory.max 1000", "memory.low 500"],
  ],
  "no limit on memory": [
    { memory: { limit: -1 } },
    ["memory.limit_in_bytes -1", "memory.memsw.limit_in_bytes -1"],
    ["memory.swap.max max", "memory.max max"],
  ],
  "memory beyond 2^53": [
    { memory: { limit: 9007199254740993n } },
    ["memory.limit_in_bytes 9007199254740993"],
    ["memory.max 9007199254740993"],
  ],
  "what v1 alone has of memory": [
    { memory: { swappiness: 0, disableOOMKiller: true, kernelTCP: 4096 } },
    ["memory.kmem.tcp.limit_in_bytes 4096", "memory.oom_control 1", "memory.swappiness 0"],
    [],
  ],
  cpu: [
    { cpu: { shares: 1024, quota: 20000, period: 50000, burst: 10000, idle: 1, cpus: "0-1", mems: "0" } },
    [
      "cpu.shares 1024",
      "cpu.cfs_period_us 50000",
      "cpu.cfs_quota_us 20000",
      "cpu.cfs_burst_us 10000",
      "cpu.idle 1",
      "cpuset.cpus 0-1",
      "cpuset.mems 0",
    ],
    [
      "cpu.weight 100",
      "cpu.max 20000 50000",
      "cpu.max.burst 10000",
      "cpu.idle 1",
      "cpuset.cpus 0-1",
      "cpuset.mems 0",
    ],
  ],
  "a quota alone, and none": [{ cpu: { quota: -1 } }, ["cpu.cfs_quota_us -1"], ["cpu.max max 100000"]],
  realtime: [
    { cpu: { realtimePeriod: 1000000, realtimeRuntime: 950000 } },
    ["cpu.rt_period_us 1000000", "cpu.rt_runtime_us 950000"],
    [],
  ],
  pids: [{ pids: { limit: 5 } }, ["pids.max 5"], ["pids.max 5"]],
  "no limit on pids": [{ pids: { limit: -1 } }, ["pids.max max"], ["pids.max max"]],
  "0 pids, which is a limit": [{ pids: { limit: 0 } }, ["pids.max 0"], ["pids.max 0"]],
  "block devices": [
    {
      blockIO: {
        weight: 500,
        weightDevice: [{ major: 8, minor: 0, weight: 100 }],
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
        throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 0 }],
      },
    },
    [
      "blkio.weight 500",
      "blkio.weight_device 8:0 100",
      "blkio.throttle.read_bps_device 8:0 600",
      "blkio.throttle.write_iops_device 8:16 0",
    ],
    ["io.bfq.weight 500", "io.bfq.weight 8:0 100", "io.max 8:0 rbps=600", "io.max 8:16 wiops=max"],
  ],
  "more operations a second than the kernel can count": [
    { blockIO: { throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 0x1_0000_0000 }] } },
    ["blkio.throttle.read_iops_device 8:0 4294967295"],
    ["io.max 8:0 riops=4294967296"],
  ],
  "huge pages": [
    { hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }] },
    ["hugetlb.2MB.limit_in_bytes 4194304", "hugetlb.2MB.rsvd.limit_in_bytes 4194304"],
    ["hugetlb.2MB.max 4194304", "hugetlb.2MB.rsvd.max 4194304"],
  ],
  rdma: [
    { rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 }, rxe3: { hcaObjects: 0 } } },
    ["rdma.max mlx5_1 hca_handle=3 hca_object=10000", "rdma.max rxe3 hca_object=0"],
    ["rdma.max mlx5_1 hca_handle=3 hca_object=10000", "rdma.max rxe3 hca_object=0"],
  ],
  network: [
    { network: { classID: 1048577, priorities: [{ name: "eth0", priority: 500 }] } },
    ["net_cls.classid 1048577", "net_prio.ifpriomap eth0 500"],
    [],
  ],
};

for (const [name, [resources, v1, v2]] of Object.entries(CASES)) {
  describe(name, () => {
    test("on v1", () => expect(writes(legacy, resources)).toEqual(v1));
    test("on v2", () => expect(writes(unified, resources)).toEqual(v2));
  });
}

test("the pids limit waits for the init where it would hit its making", () => {
  expect(plan(hybrid, { pids: { limit: 1 } }).atPid.map(line)).toEqual([
    "write /sys/fs/cgroup/pids/c1/pids.max 1",
  ]);
  expect(plan(unified, { pids: { limit: 1 } }).atPid).toEqual([]);
  expect(plan(unified, { pids: { limit: 0 } }).atPid).toHaveLength(1);
});

test("files of the cgroup2 tree are written last, and their controllers wanted", () => {
  const part = plan(unified, {
    memory: { limit: 1000 },
    unified: { "memory.high": "900", "cgroup.max.depth": "3" },
  });
  const lines = part.before.map(line);
  expect(lines.indexOf("write /sys/fs/cgroup/c1/memory.high 900")).toBeGreaterThan(
    lines.indexOf("write /sys/fs/cgroup/c1/memory.max 1000"),
  );
  const enable = part.before.find(
    ({ action }) => action.do === "driver" && action.call === "enable-controllers",
  );
  expect(enable?.action).toMatchObject({
    args: {
      all: true,
      wanted: [{ controller: "memory", field: "linux.resources.memory.limit", file: "memory.max" }],
    },
  });
});

test("on a hybrid host, what v1 does not have goes to the cgroup2 tree", () => {
  const part = plan(hybrid, {
    hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
    unified: { "cgroup.max.depth": "1" },
  });
  const lines = part.before.map(line);
  expect(lines).toContain("write /sys/fs/cgroup/unified/c1/hugetlb.2MB.max 0");
  expect(lines).toContain("write /sys/fs/cgroup/unified/c1/cgroup.max.depth 1");
  const { devices: _none, ...controllers } = hybrid.cgroup.controllers;
  const without = { ...hybrid, cgroup: { ...hybrid.cgroup, controllers } };
  expect(plan(without, undefined).before.map(line)).toContain("driver device-program");
});

describe("what cannot be held is refused, by name", () => {
  const { memory: _memory, devices: _devices, ...rest } = legacy.cgroup.controllers;
  const poor = { ...legacy, cgroup: { ...legacy.cgroup, controllers: rest } };
  test("a controller that is not mounted", () => {
    expect(() => plan(poor, { devices: [...ALL], memory: { limit: 5 } })).toThrow(
      "cannot set memory.limit_in_bytes: the cgroup controller memory is not mounted",
    );
  });
  test("devices without anything to hold them", () => {
    expect(() => plan(poor, undefined)).toThrow("devices cannot be kept from the container");
    expect(plan(poor, { devices: [...ALL] }).warnings).toEqual([]);
  });
  test("the cgroup2 tree where there is none", () => {
    expect(() => plan(legacy, { unified: { "memory.high": "1" } })).toThrow("no cgroup2 tree");
  });
  test("values that make no sense", () => {
    expect(() => plan(legacy, { cpu: { shares: 1 } })).toThrow("minimum allowed cpu-shares is 2");
    expect(() => plan(legacy, { cpu: { shares: 262145 } })).toThrow("maximum allowed cpu-shares is 262144");
    expect(() => plan(legacy, { memory: { swappiness: 101 } })).toThrow("must be from 0 to 100");
    for (const host of [legacy, unified]) {
      expect(() => plan(host, { memory: { limit: 10, swap: 5 } })).toThrow("less than memory.limit");
      expect(() => plan(host, { memory: { limit: -5, swap: 10 } })).toThrow("is -5, which is no amount");
      expect(() => plan(host, { memory: { limit: 10, swap: -2 } })).toThrow("is -2, which is no amount");
    }
    expect(() => plan(unified, { unified: { "../memory.max": "1" } })).toThrow(
      "is not the name of a cgroup file",
    );
  });
});

test("kernel memory is limited where the kernel can, and warned of where it cannot", () => {
  const kernel = { memory: { kernel: 4096 } };
  const at = (major: number, minor: number): Host => ({ ...legacy, kernelVersion: [major, minor] });
  const old = plan(at(5, 15), kernel);
  expect(old.before.map(line)).toContainEqual(expect.stringMatching(/memory.kmem.limit_in_bytes 4096$/));
  expect(old.warnings).toEqual([]);
  for (const host of [at(5, 16), at(6, 0)]) {
    const { before, warnings } = plan(host, kernel);
    expect(before.map(line).filter((step) => step.includes("kmem"))).toEqual([]);
    expect(warnings.join()).toContain("memory.kernel is ignored: kernels since 5.16");
  }
});

test("swappiness as engines write none of it is none", () => {
  const none = { memory: { swappiness: 18446744073709551615n } };
  for (const host of [legacy, unified]) {
    const { before, warnings } = plan(host, none);
    expect(before.map(line).filter((step) => step.includes("swappiness"))).toEqual([]);
    expect(warnings).toEqual([]);
  }
});

test("several lines for one file of the cgroup2 tree are written one by one", () => {
  const steps = plan(unified, {
    unified: { "io.max": "8:0 rbps=1\n8:16 rbps=2\n", "cpuset.cpus": "" },
  }).before;
  const written = steps.map(line).filter((step) => /io.max|cpuset.cpus/.test(step));
  expect(written.map((step) => step.replace(/^.*\//, ""))).toEqual([
    "io.max 8:0 rbps=1",
    "io.max 8:16 rbps=2",
    "cpuset.cpus \n",
  ]);
});

test("what v2 has nothing like is ignored with a word", () => {
  const warnings = plan(unified, {
    memory: { kernel: 1, kernelTCP: 1, swappiness: 1, disableOOMKiller: true },
    cpu: { realtimeRuntime: 1 },
    blockIO: { leafWeight: 10 },
    network: { classID: 1, priorities: [{ name: "eth0", priority: 1 }] },
  }).warnings.join("\n");
  for (const word of [
    "memory.kernel ",
    "memory.kernelTCP ",
    "memory.swappiness ",
    "memory.disableOOMKiller ",
    "realtimeRuntime",
    "leafWeight",
    "network.classID",
    "network.priorities",
  ]) {
    expect(warnings).toContain(word);
  }
});

test("exec joins every hierarchy once, and the cgroup2 tree by clone3", () => {
  const { paths } = plan(hybrid, undefined);
  const joined = cgroupV1Driver.join(paths, hybrid, 1);
  expect(joined.join).toHaveLength(8);
  // The process itself, which no limit refuses there.
  expect(joined.inside?.map(({ path }) => path)).toEqual(["/sys/fs/cgroup/pids/c1/tasks"]);
  expect(joined.before.map(line).at(-1)).toBe("open cgroup.unified /sys/fs/cgroup/unified/c1");
  expect(joined.cloneInto).toBe("cgroup.unified");
  expect(cgroupV1Driver.join(plan(legacy, undefined).paths, legacy, 1).cloneInto).toBeUndefined();
  expect(cgroupV2Driver.join({ unified: "/sys/fs/cgroup/c1" }, unified, 1)).toMatchObject({ join: [] });
});

test("probes say which host is whose", () => {
  expect([hybrid, legacy, unified].map((host) => cgroupV1Driver.probe(host).ok)).toEqual([true, true, false]);
  expect([hybrid, legacy, unified].map((host) => cgroupV2Driver.probe(host).ok)).toEqual([
    false,
    false,
    true,
  ]);
});
