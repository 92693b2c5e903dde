// What runc and ctr-bun are given as linux.resources on a host with v1 controllers, and what must come of it: a table of
// every property, with values that are ordinary, unset, on the edge and bad. Where the two differ on purpose, the reason
// stands here; docs/cgroups.md, "cgroup v1 beside runc", tells users.

const MB = 1 << 20;

/** One line of the table. */
export interface Case {
  /** `undefined`: the property is not there at all. */
  readonly resources: unknown;
  readonly ociVersion?: string;
  /**
   * Lines of `file value` that both must have (of devices.list: one of its lines). Where they differ: what ctr-bun has, and
   * every other file is the same.
   */
  readonly held?: readonly string[];
  /** Properties that ctr-bun must warn of, and no others. */
  readonly warned?: readonly string[];
  /** What ctr-bun's error begins with, below `linux.resources.`; runc refuses it too, unless there is a reason. */
  readonly refused?: string;
  /** Why they differ on purpose. */
  readonly why?: string;
  /** What runc does where they differ: it takes it, unless this says so. */
  readonly runc?: "refuses";
}

type Resources = Record<string, unknown>;

const NEWER = "runc 1.1.5 does not know it yet; later versions hold it too";
const NOTHING_IGNORED = "runc 1.1 ignores it; the kernel can hold it";
const UNIFIED =
  "runc refuses `unified` wherever there are v1 controllers; a hybrid host has a cgroup2 tree for it";
const HUGE =
  "no hugetlb controller is mounted as v1: runc stops there, and the cgroup2 tree of a hybrid host has it";
const LISTS =
  "the specification has lists as cpusets(7) gives them; the kernel's newer forms go to it unseen by runc";

const same = (resources: unknown, ...held: string[]): Case => ({ resources, held });
const warned = (resources: Resources, warns: string[], ...held: string[]): Case => ({
  resources,
  held,
  warned: warns,
});
const refused = (resources: Resources, words: string): Case => ({ resources, refused: words });
/** ctr-bun holds more than runc. */
const more = (why: string, resources: Resources, ...held: string[]): Case => ({ resources, why, held });
const alone = (why: string, resources: Resources, ...held: string[]): Case => ({
  resources,
  why,
  held,
  runc: "refuses",
});
const stricter = (why: string, resources: Resources, words: string): Case => ({
  resources,
  why,
  refused: words,
});

const DENY = { allow: false, access: "rwm" };
const ALL = { allow: true, access: "rwm" };
/** A rule for a character device; no number: the wildcard. */
const allow = (access: string, major?: number, minor?: number) => ({
  allow: true,
  type: "c",
  major,
  minor,
  access,
});
const deny = (access: string, major?: number, minor?: number) => ({
  ...allow(access, major, minor),
  allow: false,
});
const devices = (...rules: unknown[]) => ({ devices: rules });

/** No resources, or empty ones, or sections without anything in them. */
const NOTHING: readonly Case[] = [
  same(undefined, "devices.list c 1:3 rwm", "devices.list c *:* m", "pids.max max"),
  same(null),
  same({}),
  same({
    memory: {},
    cpu: {},
    pids: {},
    blockIO: {},
    hugepageLimits: [],
    network: {},
    rdma: {},
    unified: {},
    devices: [],
  }),
  same({
    memory: null,
    cpu: null,
    pids: null,
    blockIO: null,
    hugepageLimits: null,
    network: null,
    rdma: null,
    unified: null,
    devices: null,
  }),
  // What runc takes as not set.
  same(
    {
      memory: { limit: 0, swap: 0, reservation: 0, kernelTCP: 0, disableOOMKiller: false },
      cpu: { shares: 0, quota: 0, period: 0, realtimeRuntime: 0, realtimePeriod: 0, cpus: "", mems: "" },
      pids: { limit: 0 },
      blockIO: { weight: 0, leafWeight: 0, weightDevice: [], throttleReadBpsDevice: null },
      network: { classID: 0, priorities: [] },
    },
    "memory.limit_in_bytes 9223372036854771712",
    "cpu.shares 1024",
    "pids.max max",
    "memory.swappiness 60",
  ),
  same(
    {
      memory: { limit: null, swappiness: null },
      cpu: { shares: null },
      pids: { limit: null },
      blockIO: { weight: null },
    },
    "memory.swappiness 60",
  ),
  same({ nonsense: 1, memory: { nonsense: 1 } }),
];

const LIMITS: readonly Case[] = [
  same(
    { memory: { limit: 64 * MB }, cpu: { shares: 2 }, pids: { limit: 1 }, blockIO: { weight: 500 } },
    "memory.limit_in_bytes 67108864",
    "memory.memsw.limit_in_bytes 9223372036854771712",
    "cpu.shares 2",
    "pids.max 1",
    "blkio.bfq.weight 500",
  ),
  same(
    {
      memory: { limit: 64 * MB, swap: 128 * MB, reservation: 32 * MB, swappiness: 0 },
      cpu: { shares: 262144, quota: 50_000 },
      pids: { limit: -1 },
      blockIO: { weight: 10 },
    },
    "memory.memsw.limit_in_bytes 134217728",
    "memory.soft_limit_in_bytes 33554432",
    "memory.swappiness 0",
    "cpu.shares 262144",
    "cpu.cfs_quota_us 50000",
    "cpu.cfs_period_us 100000",
    "pids.max max",
  ),
  same(
    {
      memory: { limit: 64 * MB + 1, swap: -1, reservation: 128 * MB, swappiness: 100 },
      cpu: { quota: 60_000, period: 50_000, cpus: "0", mems: "0" },
      pids: { limit: 4194304 },
      blockIO: { weight: 1000 },
    },
    "memory.limit_in_bytes 67108864",
    "cpu.cfs_period_us 50000",
    "cpuset.cpus 0",
    "pids.max 4194304",
  ),
  same(
    {
      memory: { limit: -1, reservation: -1, disableOOMKiller: true, useHierarchy: true },
      cpu: { quota: -1, realtimePeriod: 500_000, realtimeRuntime: 0, cpus: "0-0", mems: "0-0" },
      pids: { limit: -2 },
      blockIO: { weight: 9 },
    },
    "memory.oom_control oom_kill_disable 1; under_oom 0; oom_kill 0",
    "cpu.rt_period_us 500000",
    "pids.max max",
  ),
  same(
    {
      memory: { limit: 1e15, swap: 1e15, checkBeforeUpdate: true },
      cpu: { quota: -2, period: 1_000_000, cpus: " 0" },
    },
    "memory.limit_in_bytes 1000000000000000",
    "memory.memsw.limit_in_bytes 1000000000000000",
    "cpu.cfs_quota_us -1",
    "cpuset.cpus 0",
  ),
  same(
    { memory: { limit: 9223372036854775000 }, cpu: { quota: 1000, cpus: "0,," } },
    "cpu.cfs_quota_us 1000",
    "cpuset.cpus 0",
  ),
  same({ memory: { swap: -1 } }),
  same({ memory: { limit: 0, swap: -1 } }),
  same({ memory: { limit: -1, swap: -1 } }),
  warned({ memory: { kernel: 32 * MB } }, ["memory.kernel"]),
  warned({ memory: { kernel: -1, useHierarchy: false } }, ["memory.kernel", "memory.useHierarchy"]),
  more(
    NOTHING_IGNORED,
    { memory: { limit: 64 * MB, kernelTCP: 32 * MB } },
    "memory.kmem.tcp.limit_in_bytes 33554432",
  ),
  more(NEWER, { cpu: { quota: 50_000, burst: 10_000 } }, "cpu.cfs_burst_us 10000"),
  more(
    `${NEWER}; the kernel gives an idle cgroup the least shares`,
    { cpu: { idle: 1, shares: 512 } },
    "cpu.idle 1",
    "cpu.shares 3",
  ),
  {
    resources: { pids: { limit: 0 } },
    ociVersion: "1.3.0",
    why: "runtime-spec 1.3 means it as a limit, in documents of that version",
    held: ["pids.max 0"],
  },
  alone(HUGE, { hugepageLimits: [{ pageSize: "2MB", limit: 4 * MB }] }, "hugetlb.2MB.max 4194304"),
  alone(UNIFIED, { unified: { "cgroup.max.descendants": "3" } }, "cgroup.max.descendants 3"),
];

const BAD: readonly Case[] = [
  refused({ memory: { limit: -2 } }, "memory.limit: is -2, which is no amount"),
  refused({ memory: { limit: 1 } }, "memory.limit: the container's init was killed by signal 9"),
  refused({ memory: { limit: "64m" } }, "memory.limit: expected integer"),
  refused({ memory: { limit: 1.5 } }, "memory.limit: expected integer"),
  refused(
    { memory: { swap: 64 * MB } },
    "memory.swap: cannot set memory.memsw.limit_in_bytes to 67108864: invalid argument",
  ),
  refused(
    { memory: { limit: 64 * MB, swap: 32 * MB } },
    "memory.swap: is 33554432, less than memory.limit (67108864), which it includes",
  ),
  refused({ memory: { limit: -1, swap: 64 * MB } }, "memory.swap: cannot set"),
  refused({ memory: { reservation: -5 } }, "memory.reservation: cannot set memory.soft_limit_in_bytes to -5"),
  refused({ memory: { swappiness: 101 } }, "memory.swappiness: is 101, must be from 0 to 100"),
  refused({ memory: { swappiness: -1 } }, "memory.swappiness: expected integer from 0"),
  refused({ memory: { disableOOMKiller: "yes" } }, "memory.disableOOMKiller: expected boolean"),
  refused({ cpu: { shares: 1 } }, "cpu.shares: the minimum allowed cpu-shares is 2"),
  refused({ cpu: { shares: 262145 } }, "cpu.shares: the maximum allowed cpu-shares is 262144"),
  refused({ cpu: { shares: -1 } }, "cpu.shares: expected integer from 0"),
  refused({ cpu: { quota: 999 } }, "cpu.quota: cannot set cpu.cfs_quota_us to 999: invalid argument"),
  refused({ cpu: { period: 1_000_001 } }, "cpu.period: cannot set cpu.cfs_period_us to 1000001"),
  refused({ cpu: { realtimeRuntime: 1000 } }, "cpu.realtimeRuntime: cannot set cpu.rt_runtime_us to 1000"),
  refused({ cpu: { realtimeRuntime: -1 } }, "cpu.realtimeRuntime: cannot set cpu.rt_runtime_us to -1"),
  refused({ cpu: { cpus: "1-0" } }, "cpu.cpus: cannot set cpuset.cpus to 1-0: invalid argument"),
  refused(
    { cpu: { cpus: "4095" } },
    "cpu.cpus: cannot set cpuset.cpus to 4095: numerical result out of range",
  ),
  refused({ cpu: { mems: "63" } }, "cpu.mems: cannot set cpuset.mems to 63"),
  refused({ cpu: { mems: "a" } }, "cpu.mems: must be a list"),
  refused({ cpu: { cpus: 0 } }, "cpu.cpus: expected string"),
  stricter(LISTS, { cpu: { cpus: "0-1:1/2" } }, "cpu.cpus: must be a list"),
  stricter(LISTS, { cpu: { cpus: "all" } }, "cpu.cpus: must be a list"),
  stricter(NEWER, { cpu: { quota: 50_000, burst: 60_000 } }, "cpu.burst: must not be above the quota, 50000"),
  stricter(NEWER, { cpu: { idle: 2 } }, "cpu.idle: cannot set cpu.idle to 2: invalid argument"),
  refused({ pids: { limit: 4194305 } }, "pids.limit: cannot set pids.max to 4194305: invalid argument"),
  refused({ pids: { limit: "10" } }, "pids.limit: expected integer"),
  refused(
    { network: { classID: 1048577 } },
    "network.classID: cannot set net_cls.classid: the cgroup controller",
  ),
  refused(
    { network: { priorities: [{ name: "lo", priority: 3 }] } },
    "network.priorities[0]: cannot set net_prio.ifpriomap: the cgroup controller net_prio is not mounted",
  ),
  refused({ network: { classID: 4294967296 } }, "network.classID: expected integer from 0 to 4294967295"),
  refused(
    { rdma: { mlx5_1: { hcaHandles: 3 } } },
    "rdma.mlx5_1: cannot set rdma.max: the cgroup2 tree does not",
  ),
  refused({ rdma: { mlx5_1: {} } }, "rdma.mlx5_1: must have hcaHandles, hcaObjects or both"),
  refused(
    { hugepageLimits: [{ pageSize: "3MB", limit: MB }] },
    "hugepageLimits[0]: cannot set hugetlb.3MB.max",
  ),
  refused({ hugepageLimits: [{ pageSize: "2mb", limit: MB }] }, "hugepageLimits[0].pageSize: must be a size"),
  refused(
    { unified: { "memory.high": "1" } },
    "unified.memory.high: cannot set memory.high: the cgroup2 tree does",
  ),
  refused({ unified: { "a/b": "1" } }, 'unified["a/b"]: must be the name of a cgroup file'),
];

const RULES: readonly Case[] = [
  same(devices(DENY), "devices.list c 1:3 rwm"),
  same(devices(ALL), "devices.list a *:* rwm"),
  same(devices({ allow: true, type: "a", access: "rwm" }), "devices.list a *:* rwm"),
  same(devices({ allow: true, type: "a", major: 1, minor: 3, access: "r" }), "devices.list a *:* rwm"),
  same(devices({ allow: false, type: "a", major: 1, minor: 3, access: "r" }), "devices.list c 1:3 rwm"),
  same(
    devices(
      DENY,
      allow("rwm", 10, 229),
      allow("r", 10, 230),
      allow("mr", 10, 231),
      allow("r", undefined, 5),
      allow("w", 11),
      { allow: true, type: "b", access: "r" },
      { allow: true, type: "b", major: -1, minor: 3, access: "rw" },
      { allow: true, type: "b", major: 7, minor: -1, access: "rw" },
      allow("rr", 12, 1),
      allow("r", 99999, 99999999),
    ),
    "devices.list c 10:229 rwm",
    "devices.list c 10:231 rm",
    "devices.list c *:5 r",
    "devices.list c 11:* w",
    "devices.list b *:* rm",
    "devices.list b *:3 rw",
  ),
  same(devices(DENY, allow("rwm", -1, -1)), "devices.list c *:* rwm"),
  // Those that every container needs cannot be taken away.
  same(devices(DENY, allow("rwm", 1, 3), deny("rwm", 1, 3)), "devices.list c 1:3 rwm"),
  same(devices(DENY, deny("m")), "devices.list c *:* m"),
  same(devices(DENY, allow("rwm", 10, 229), deny("w", 10, 229)), "devices.list c 10:229 rm"),
  same(devices(DENY, allow("rwm", 10, 229), deny("rwm", 10)), "devices.list c 10:229 rwm"),
  same(devices(DENY, allow("r", 10), deny("w", 10, 229)), "devices.list c 10:* r"),
  same(devices(DENY, deny("rwm", 10, 229), allow("r", 10, 229)), "devices.list c 10:229 r"),
  // A rule for all forgets those before it; without one, nothing is allowed at first.
  same(devices(allow("rwm", 10, 229), DENY), "devices.list c 1:3 rwm"),
  same(devices(allow("rwm", 10, 229)), "devices.list c 10:229 rwm"),
  same(devices(deny("rwm", 10, 229)), "devices.list c 1:3 rwm"),
  same(devices(DENY, { allow: true, type: "a", access: "r" }), "devices.list a *:* rwm"),
  same(devices(ALL, DENY, ALL), "devices.list a *:* rwm"),
  same(devices(ALL, deny("rwm", 10, 229)), "devices.list a *:* rwm"),
  same(devices(ALL, deny("r", 10, 229), DENY, allow("r", 10, 200)), "devices.list c 10:200 rwm"),
  refused(
    devices(DENY, allow("rwm", 10), deny("rwm", 10, 229)),
    "devices: deny c 10:229 rwm is a hole in c 10:*, which cgroup v1 cannot hold",
  ),
  refused(devices(DENY, allow("rwm"), deny("w", 1)), "devices: deny c 1:* w is a hole in c *:*"),
  refused(devices(ALL, deny("rw", 7), allow("w", 7, 1)), "devices: allow c 7:1 w is a hole in c 7:*"),
  refused(devices({ ...allow("r", 1, 1), type: "u" }), 'devices[0].type: expected one of "a", "b", "c"'),
  refused(devices(DENY, allow("r", -2, -3)), "devices[1].major: expected integer from -1"),
  // The kernel shows it as `*`, and means it.
  refused(devices(DENY, allow("r", 4294967295, 1)), "devices[1].major: expected integer from -1"),
  refused(devices(DENY, allow("r", 1, 1e12)), "devices[1].minor: expected integer from -1"),
  alone(
    "runc wants `access`, which the specification does not: left out it is all",
    devices(DENY, { allow: true, type: "c", major: 10, minor: 229 }),
    "devices.list c 10:229 rwm",
  ),
  stricter(
    "the specification knows r, w and m; runc drops the rest",
    devices(DENY, allow("rx", 1, 1)),
    "devices[1].access: must consist of r, w and m",
  ),
  stricter(
    "the specification requires `allow`; runc takes it as false",
    devices({ access: "rwm" }),
    "devices[0].allow: is required",
  ),
];

/** Of a block device that is there, and uses no scheduler that knows weights. */
function blockCases(device: { major: number; minor: number }): Case[] {
  const name = `${device.major}:${device.minor}`;
  const block = (blockIO: Resources): Resources => ({ blockIO });
  const at = (rate: unknown) => [{ ...device, rate }];
  return [
    same(
      block({
        weight: 300,
        throttleReadBpsDevice: at(MB),
        throttleWriteBpsDevice: at(2 * MB),
        throttleReadIOPSDevice: at(100),
        throttleWriteIOPSDevice: at(200),
      }),
      "blkio.bfq.weight 300",
      `blkio.throttle.read_bps_device ${name} 1048576`,
      `blkio.throttle.write_bps_device ${name} 2097152`,
      `blkio.throttle.read_iops_device ${name} 100`,
      `blkio.throttle.write_iops_device ${name} 200`,
    ),
    same(block({ throttleReadBpsDevice: at(0) }), "blkio.throttle.read_bps_device "),
    same(
      block({
        throttleReadBpsDevice: [...at(1), ...at(5000)],
        throttleWriteBpsDevice: at(18446744073709550000),
      }),
      `blkio.throttle.read_bps_device ${name} 5000`,
      `blkio.throttle.write_bps_device ${name} 18446744073709550000`,
    ),
    same(block({ weightDevice: [{ ...device, weight: 0 }] })),
    more(
      "the kernel cuts operations a second to their lower 32 bits: with runc they are 0 then",
      block({ throttleReadIOPSDevice: at(0x1_0000_0000) }),
      "blkio.throttle.read_iops_device ",
    ),
    refused(block({ weight: 1001 }), "blockIO.weight: cannot set blkio.weight to 1001: numerical result"),
    refused(block({ weight: 70_000 }), "blockIO.weight: expected integer from 0 to 65535"),
    refused(
      block({ leafWeight: 100 }),
      "blockIO.leafWeight: cannot set blkio.leaf_weight to 100: no such file",
    ),
    refused(
      block({ weightDevice: [{ ...device, weight: 100 }] }),
      `blockIO.weightDevice[0].weight: cannot set blkio.weight_device to ${name} 100: operation not supported`,
    ),
    refused(
      block({ weightDevice: [{ ...device, leafWeight: 100 }] }),
      `blockIO.weightDevice[0].leafWeight: cannot set blkio.leaf_weight_device to ${name} 100`,
    ),
    refused(
      block({ throttleReadBpsDevice: [{ major: 239, minor: 1, rate: 5 }] }),
      "blockIO.throttleReadBpsDevice[0]: cannot set blkio.throttle.read_bps_device to 239:1 5: no such device",
    ),
    refused(
      block({ throttleReadBpsDevice: at(-1) }),
      "blockIO.throttleReadBpsDevice[0].rate: expected integer",
    ),
    refused(
      block({ throttleReadBpsDevice: [{ rate: 5 }] }),
      "blockIO.throttleReadBpsDevice[0].major: is required",
    ),
    stricter(
      "the specification requires `rate`; runc takes it as 0, which is no limit",
      block({ throttleReadBpsDevice: [device] }),
      "blockIO.throttleReadBpsDevice[0].rate: is required",
    ),
    stricter(
      "the specification requires one of both; runc asks nothing of the kernel then",
      block({ weightDevice: [device] }),
      "blockIO.weightDevice[0]: must have weight, leafWeight or both",
    ),
  ];
}

export const CASES: Readonly<Record<string, (device: { major: number; minor: number }) => readonly Case[]>> =
  {
    "nothing asked for": () => NOTHING,
    limits: () => LIMITS,
    "bad values": () => BAD,
    "rules for devices": () => RULES,
    "block devices": blockCases,
  };
