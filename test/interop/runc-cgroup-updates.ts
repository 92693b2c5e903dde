// What `update` is asked for on v1, by flags as engines give them and by JSON, step by step on one container; after each
// step every file must be the same under runc and under ctr-bun, or the reason stands here.

import type { Case } from "./runc-cgroup-cases.ts";

const MB = 1 << 20;

/** As a line of the table for create; a step that is refused changes nothing with ctr-bun. */
interface Step extends Omit<Case, "resources"> {
  /** Flags. */
  readonly args?: readonly string[];
  /** Contents of the file for --resources. */
  readonly json?: unknown;
}

interface Script {
  /** linux.resources of the container. */
  readonly before: unknown;
  steps(device: { major: number; minor: number }): readonly Step[];
}

const flags = (text: string, ...held: string[]): Step => ({ args: text.split(" ").filter(Boolean), held });
const warned = (text: string, property: string): Step => ({ ...flags(text), warned: [property] });
const refused = (text: string, words: string): Step => ({ args: text.split(" "), refused: words });
const json = (document: unknown, ...held: string[]): Step => ({ json: document, held });
const bad = (document: unknown, words: string): Step => ({ json: document, refused: words });

const IGNORES = "of a file runc's update takes limits of memory, cpu and pids and the weight for disks alone";
const more = (document: unknown, ...held: string[]): Step => ({ json: document, held, why: IGNORES });
const stricter = (document: unknown, words: string): Step => ({
  json: document,
  refused: words,
  why: IGNORES,
});

const LIMITED = {
  memory: { limit: 64 * MB, swap: 128 * MB },
  cpu: { shares: 512, quota: 50_000, period: 100_000 },
  pids: { limit: 50 },
};
const NO_LIMIT = "9223372036854771712";

export const UPDATES: Readonly<Record<string, Script>> = {
  "flags for memory": {
    before: LIMITED,
    steps: () => [
      flags(""),
      flags("--memory 32m", "memory.limit_in_bytes 33554432", "memory.memsw.limit_in_bytes 134217728"),
      flags("--memory-swap -1", `memory.memsw.limit_in_bytes ${NO_LIMIT}`),
      flags("--memory -1", `memory.limit_in_bytes ${NO_LIMIT}`),
      flags("--memory 0", `memory.limit_in_bytes ${NO_LIMIT}`),
      flags("--memory 64m --memory-swap 64m", "memory.memsw.limit_in_bytes 67108864"),
      flags("--memory 128M --memory-swap 256MiB", "memory.memsw.limit_in_bytes 268435456"),
      flags("--memory 16mb --memory-swap 16384k", "memory.memsw.limit_in_bytes 16777216"),
      refused("--memory 20m", "--memory-swap: is 16777216, less than memory.limit (20971520)"),
      refused("--memory-swap 1m", "--memory-swap: is 1048576, less than memory.limit (16777216)"),
      refused("--memory -2", "--memory: invalid value for memory: invalid size: '-2'"),
      refused("--memory 1e3", "--memory: invalid value for memory: invalid size: '1e3'"),
      { args: ["--memory", " 8m"], refused: "--memory: invalid value for memory: invalid size: ' 8m'" },
      refused("--memory 10.5k", "--memory: unable to set memory limit to 10752 (current usage: "),
      flags("--memory-swap 0", "memory.memsw.limit_in_bytes 16777216"),
      flags("--memory-reservation 8m", "memory.soft_limit_in_bytes 8388608"),
      flags("--memory-reservation 0", "memory.soft_limit_in_bytes 8388608"),
      flags("--memory-reservation -1", `memory.soft_limit_in_bytes ${NO_LIMIT}`),
      warned("--kernel-memory 8m", "memory.kernel"),
      {
        ...flags("--kernel-memory-tcp 8m", "memory.kmem.tcp.limit_in_bytes 8388608"),
        why: "runc 1.1 ignores it; the kernel can hold it",
      },
      flags("--kernel-memory-tcp -1", `memory.kmem.tcp.limit_in_bytes ${NO_LIMIT}`),
    ],
  },
  "flags for CPUs": {
    before: LIMITED,
    steps: () => [
      flags("--cpu-share 2", "cpu.shares 2"),
      flags("--cpu-share 0", "cpu.shares 2"),
      refused("--cpu-share 1", "--cpu-share: the minimum allowed cpu-shares is 2"),
      refused("--cpu-share -1", "--cpu-share: invalid value for cpu-share"),
      refused("--cpu-share 0x10", "--cpu-share: invalid value for cpu-share"),
      flags("--cpu-share 010", "cpu.shares 10"),
      flags("--cpu-quota 0", "cpu.cfs_quota_us 50000"),
      flags("--cpu-quota -1", "cpu.cfs_quota_us -1"),
      refused("--cpu-quota 500", "--cpu-quota: cannot set cpu.cfs_quota_us to 500: invalid argument"),
      flags("--cpu-quota 30000", "cpu.cfs_quota_us 30000"),
      flags("--cpu-period 0", "cpu.cfs_period_us 100000"),
      flags("--cpu-period 20000", "cpu.cfs_period_us 20000", "cpu.cfs_quota_us 30000"),
      refused("--cpu-period 5", "--cpu-period: cannot set cpu.cfs_period_us to 5: invalid argument"),
      flags("--cpu-quota 90000 --cpu-period 30000", "cpu.cfs_quota_us 90000", "cpu.cfs_period_us 30000"),
      flags("--cpu-rt-period 500000 --cpu-rt-runtime 0", "cpu.rt_period_us 500000"),
      refused("--cpu-rt-runtime 1000", "--cpu-rt-runtime: cannot set cpu.rt_runtime_us to 1000"),
      flags("--cpuset-cpus 0", "cpuset.cpus 0"),
      flags("--cpuset-mems 0", "cpuset.cpus 0"),
      { args: ["--cpuset-cpus", "", "--cpuset-mems", ""], held: ["cpuset.cpus 0"] },
      refused("--cpuset-cpus 4095", "--cpuset-cpus: cannot set cpuset.cpus to 4095: numerical result"),
      refused("--cpuset-cpus x", "--cpuset-cpus: must be a list"),
      refused("--cpuset-mems 63", "--cpuset-mems: cannot set cpuset.mems to 63"),
      {
        ...flags("--cpu-burst 1000 --cpu-idle 1", "cpu.cfs_burst_us 1000", "cpu.idle 1", "cpu.shares 3"),
        why: "flags of runc 1.2",
        runc: "refuses",
      },
    ],
  },
  "flags for processes and disks": {
    before: LIMITED,
    steps: () => [
      flags("--pids-limit 0", "pids.max 50"),
      flags("--pids-limit 5", "pids.max 5"),
      flags("--pids-limit -3", "pids.max max"),
      refused("--pids-limit 5000000", "--pids-limit: cannot set pids.max to 5000000: invalid argument"),
      refused("--pids-limit x", "--pids-limit: invalid value for pids-limit"),
      flags("--pids-limit 1", "pids.max 1"),
      flags("--pids-limit -1", "pids.max max"),
      flags("--blkio-weight 300", "blkio.bfq.weight 300"),
      flags("--blkio-weight 0", "blkio.bfq.weight 300"),
      flags("--blkio-weight 5", "blkio.bfq.weight 5"),
      refused("--blkio-weight 1001", "--blkio-weight: cannot set blkio.bfq.weight to 1001: numerical result"),
      refused("--blkio-weight 70000", "--blkio-weight: expected integer from 0 to 65535"),
      refused("--blkio-weight -1", "--blkio-weight: invalid value for blkio-weight"),
    ],
  },
  "a file": {
    before: { ...LIMITED, devices: [{ allow: false, access: "rwm" }] },
    steps: () => [
      json({}),
      bad([], "expected object, got array"),
      json({ memory: {}, cpu: {}, pids: {}, blockIO: {}, nonsense: 1 }),
      json({ memory: { limit: 32 * MB } }, "memory.limit_in_bytes 33554432"),
      json({ memory: { limit: 0, disableOOMKiller: false } }, "memory.limit_in_bytes 33554432"),
      json({ memory: { limit: -1 } }, `memory.memsw.limit_in_bytes ${NO_LIMIT}`),
      json(
        { memory: { limit: 64 * MB, swap: 64 * MB, reservation: 16 * MB, checkBeforeUpdate: true } },
        "memory.memsw.limit_in_bytes 67108864",
        "memory.soft_limit_in_bytes 16777216",
      ),
      bad({ memory: { limit: 4096 } }, "memory.limit: unable to set memory limit to 4096 (current usage: "),
      bad({ memory: { limit: -5 } }, "memory.limit: is -5, which is no amount"),
      bad({ memory: { limit: "5" } }, "memory.limit: expected integer"),
      { ...json({ memory: { kernel: MB } }), warned: ["memory.kernel"] },
      json(
        { cpu: { shares: 100, quota: 10_000, period: 20_000 } },
        "cpu.shares 100",
        "cpu.cfs_quota_us 10000",
      ),
      json({ cpu: { shares: 0, quota: 0, cpus: "", realtimeRuntime: 0 } }, "cpu.cfs_quota_us 10000"),
      json({ cpu: { cpus: "0", mems: "0", period: 50_000 } }, "cpuset.cpus 0", "cpu.cfs_period_us 50000"),
      json({ pids: { limit: 7 } }, "pids.max 7"),
      json({ pids: { limit: 0 } }, "pids.max 7"),
      json({ pids: { limit: -1 } }, "pids.max max"),
      json({ blockIO: { weight: 200 } }, "blkio.bfq.weight 200"),
      json({ devices: [{ allow: false, access: "rwm" }] }),
      {
        ...json({ devices: [{ allow: true, access: "rwm" }] }, "devices.list c 1:3 rwm"),
        warned: ["devices"],
      },
    ],
  },
  "a file with what runc does not take": {
    before: LIMITED,
    steps: ({ major, minor }) => [
      more({ memory: { swappiness: 10 } }, "memory.swappiness 10"),
      stricter({ memory: { swappiness: 101 } }, "memory.swappiness: is 101, must be from 0 to 100"),
      more(
        { blockIO: { throttleReadBpsDevice: [{ major, minor, rate: 4096 }] } },
        "memory.swappiness 10",
        `blkio.throttle.read_bps_device ${major}:${minor} 4096`,
      ),
      stricter({ blockIO: { leafWeight: 5 } }, "blockIO.leafWeight: cannot set blkio.leaf_weight to 5"),
      stricter(
        { network: { classID: 1 } },
        "network.classID: cannot set net_cls.classid: the cgroup controller",
      ),
      { ...more({ unified: { "cgroup.max.depth": "5" } }, "cgroup.max.depth 5"), runc: "refuses" },
      { ...more(null), refused: "expected object, got null", why: "no list of limits: an error in the file" },
    ],
  },
};
