// Limits beside crun's where cgroup v2 is pure: the same config.json, made with ctr-bun, crun and runc, gives the same
// values in every file of the cgroup, after create and after update. Where not, this file says what and why, and
// docs/cgroups.md tells people.

import { beforeAll, describe, expect, test } from "bun:test";
import { program, type VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { specConfig } from "../support/config.ts";
import { imagePath } from "../support/images.ts";

const mebibyte = 1024 * 1024;
const loop = { major: 7, minor: 0 };

const commands = { "ctr-bun": "ctr-bun oci", crun: "crun --cgroup-manager cgroupfs", runc: "runc" };
const peers = ["crun", "runc"] as const;
type Runtime = keyof typeof commands;
type Peer = (typeof peers)[number];
const runtimes = ["ctr-bun", ...peers] as const;

/** Resources of a new container, and what `update` is then given: flags, or resources as JSON. */
type Case = { create: object; update: string | object };

const cases: Readonly<Record<string, Case>> = {
  everything: {
    create: {
      memory: { limit: 64 * mebibyte, reservation: 32 * mebibyte, swap: 96 * mebibyte },
      cpu: { shares: 512, quota: 50_000, period: 100_000, burst: 20_000, cpus: "0", mems: "0" },
      pids: { limit: 100 },
      blockIO: {
        weight: 500,
        weightDevice: [{ ...loop, weight: 300 }],
        throttleReadBpsDevice: [{ ...loop, rate: 1_048_576 }],
        throttleWriteBpsDevice: [{ ...loop, rate: 2_097_152 }],
        throttleReadIOPSDevice: [{ ...loop, rate: 200 }],
        throttleWriteIOPSDevice: [{ ...loop, rate: 100 }],
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 4 * mebibyte }],
      unified: { "memory.high": "40001536", "memory.oom.group": "1" },
    },
    update: {
      memory: { limit: 128 * mebibyte, swap: 256 * mebibyte, reservation: 16 * mebibyte },
      cpu: { shares: 2048, quota: -1, period: 50_000 },
      pids: { limit: -1 },
      blockIO: { weight: 100 },
    },
  },
  nothing: {
    create: {},
    update:
      "--memory 32000000 --memory-reservation 20000000 --memory-swap 64000000 --cpu-share 300 --cpu-quota 20000 " +
      "--cpu-period 50000 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 50 --blkio-weight 200",
  },
  unlimited: {
    create: {
      memory: { limit: -1, swap: -1, reservation: -1 },
      cpu: { quota: -1, shares: 0, period: 20_000 },
      pids: { limit: -1 },
      blockIO: {},
    },
    update: "--cpu-quota 10000",
  },
  extremes: {
    create: { memory: { limit: 64 * mebibyte, swap: 64 * mebibyte }, cpu: { quota: 30_000, shares: 2 } },
    update: { memory: { limit: -1 }, cpu: { shares: 262_144 } },
  },
  idle: {
    create: { memory: { limit: 64 * mebibyte, swap: -1 }, cpu: { idle: 1 }, blockIO: { weight: 1000 } },
    update: { cpu: { idle: 0 }, blockIO: { weight: 10 } },
  },
};
/** Made when the scheduler BFQ is gone, so that weights are io.weight's. */
const withoutBfq = ["idle"];

/** Files that tell a state or count, and so are not the same even twice with one runtime. */
const notSettings =
  /^(cgroup\.(events|procs|threads|stat|kill)|.*\.(pressure|stat|current|peak|events|events\.local|numa_stat))$/;

const formula = [
  "everything create cpu.weight: 59, not 20",
  "everything create cpu.weight.nice: 2, not 7",
  "everything update cpu.weight: 174, not 79",
  "everything update cpu.weight.nice: -2, not 1",
  "nothing update cpu.weight: 39, not 12",
  "nothing update cpu.weight.nice: 4, not 10",
];
const burst = [
  "everything create cpu.max.burst: 20000, not 0",
  "everything update cpu.max.burst: 20000, not 0",
];
const reserved = [
  "everything create hugetlb.2MB.rsvd.max: 4194304, not max",
  "everything update hugetlb.2MB.rsvd.max: 4194304, not max",
];

/** What is different, as `CASE STAGE FILE: OURS, not THEIRS`, by the reason. */
const differences: Readonly<Record<Peer, Readonly<Record<string, readonly string[]>>>> = {
  crun: {
    "crun turns shares into a weight by the formula of before 1.23": formula,
    "crun 1.8 does not set a burst": burst,
    "crun 1.8 limits huge pages in use, and not those that are reserved": reserved,
    "crun's weight for all devices ends those of single ones, which BFQ then forgets": [
      "everything update io.bfq.weight: default 100, 7:0 300, not default 100",
    ],
    "crun leaves the limit of swap where memory's is taken away": [
      "extremes update memory.swap.max: max, not 0",
    ],
    "crun's quota by itself brings the default period back": [
      "unlimited update cpu.max: 10000 20000, not 10000 100000",
    ],
  },
  runc: {
    "runc turns shares into a weight by the formula of before 1.3.2": formula,
    "runc 1.1 does not know burst": burst,
    "runc 1.1 limits huge pages in use, and not those that are reserved": reserved,
    "runc 1.1 does not know idle": [
      "idle create cpu.idle: 1, not 0",
      "idle create cpu.weight: 0, not 100",
      "idle create cpu.weight.nice: 19, not 0",
    ],
  },
};

const files: Record<string, VmFiles[string]> = {
  "/busybox": { from: imagePath("busybox-rootfs") },
  ...program("/usr/bin/crun"),
  ...program("/usr/sbin/runc"),
};

/** Lines of shell that make the case's container with a runtime, look, update it, look, and remove it. */
function steps(name: string, { create, update }: Case, runtime: Runtime): string {
  const id = `${name}-${runtime}`;
  const config = specConfig("/busybox", ["sleep", "1000"]);
  config.linux.cgroupsPath = `/beside/${id}`;
  config.linux.resources = { devices: [{ allow: false, access: "rwm" }], ...create };
  files[`/b/${id}/config.json`] = { text: JSON.stringify(config) };
  files[`/b/${id}/update.json`] = { text: typeof update === "string" ? "" : JSON.stringify(update) };
  const command = commands[runtime];
  const change = typeof update === "string" ? update : `--resources /b/${id}/update.json`;
  // Output goes to a file: whoever holds a pipe open, "outcome" waits for.
  return `
    outcome ${id}:created sh -c '${command} create --bundle /b/${id} ${id} </dev/null >/tmp/out 2>&1; cat /tmp/out'
    values ${id}:create
    outcome ${id}:updated ${command} update ${change} ${id}
    values ${id}:update
    ${command} delete --force ${id}
  `;
}
const all = (names: readonly string[]): string =>
  names
    .flatMap((name) =>
      runtimes.map((runtime) => steps(name, cases[name] ?? { create: {}, update: {} }, runtime)),
    )
    .join("\n");

const script = `
  # values ID:STAGE: every file of the container's cgroup that can be read.
  values() { outcome "$1" sh -c "cd /sys/fs/cgroup/beside/\${1%:*} && grep -H '' * 2>/dev/null | grep -v '^[a-z.]*stat:'"; }
  dd if=/dev/zero of=/loop bs=1M count=1 2>/dev/null
  losetup /dev/loop0 /loop
  echo bfq >/sys/block/loop0/queue/scheduler
  ${all(Object.keys(cases).filter((name) => !withoutBfq.includes(name)))}
  echo none >/sys/block/loop0/queue/scheduler
  rmmod bfq
  ${all(withoutBfq)}
`;

let vm: VmRun;
beforeAll(async () => {
  vm = await runInVm({ files, script, modules: ["bfq"], timeout: 240_000 });
}, 300_000);

const text = (name: string): string =>
  (vm.results.get(name)?.text ?? "no result").replace("exit code 0: ", "");

/** What the files hold, by their names. */
function values(id: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, file, line] of `|${text(id)}`.matchAll(/\|([a-z0-9.A-Z]+):([^|]*)/g)) {
    if (file === undefined || notSettings.test(file)) continue;
    found.set(file, [...(found.has(file) ? [found.get(file)] : []), line?.trim()].join(", "));
  }
  return found;
}

function compare(peer: Peer): string[] {
  const found: string[] = [];
  for (const name of Object.keys(cases)) {
    for (const stage of ["create", "update"]) {
      const [ours, theirs] = [values(`${name}-ctr-bun:${stage}`), values(`${name}-${peer}:${stage}`)];
      for (const file of new Set([...ours.keys(), ...theirs.keys()])) {
        const [one, other] = [ours.get(file) ?? "nothing", theirs.get(file) ?? "nothing"];
        if (one !== other) found.push(`${name} ${stage} ${file}: ${one}, not ${other}`);
      }
    }
  }
  return found.sort();
}

describe("the cgroup of a container", () => {
  test.each(runtimes)("is made and updated by %s", (runtime) => {
    for (const name of Object.keys(cases)) {
      expect([name, text(`${name}-${runtime}:created`)]).toEqual([name, ""]);
      expect([name, text(`${name}-${runtime}:updated`)]).toEqual([name, ""]);
      expect(values(`${name}-${runtime}:update`).size).toBeGreaterThan(20);
    }
  });
  test.each(peers)("holds what %s's holds, but for differences that have a reason", (peer) => {
    expect(compare(peer)).toEqual(Object.values(differences[peer]).flat().sort());
  });
});
