// pause, resume, ps, update and events where cgroup v2 is pure: what the kernel's files then say, and what is printed.

import { beforeAll, describe, expect, test } from "bun:test";
import type { VmFiles } from "../../scripts/vm/initramfs.ts";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { type Config, specConfig } from "../support/config.ts";
import { imagePath } from "../support/images.ts";

const mebibyte = 1024 * 1024;

function bundle(name: string, line: string, change: (config: Config) => void = () => {}): VmFiles {
  const config = specConfig("/busybox", ["sh", "-c", line]);
  config.linux.cgroupsPath = `/verbs/${name}`;
  change(config);
  return { [`/b/${name}/config.json`]: { text: JSON.stringify(config) } };
}

const files: VmFiles = {
  "/busybox": { from: imagePath("busybox-rootfs") },
  ...bundle("counts", "while :; do echo x >>/dev/shm/count; sleep 0.1; done", ({ linux }) => {
    linux.resources.memory = { limit: 64 * mebibyte, swap: 128 * mebibyte };
    linux.resources.cpu = { shares: 512, quota: 50_000, period: 100_000 };
    linux.resources.pids = { limit: 50 };
  }),
  ...bundle("eats", "sleep 3; dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 1", ({ linux }) => {
    linux.resources.memory = { limit: 32 * mebibyte, swap: 32 * mebibyte };
  }),
  "/resources.json": { text: '{"memory":{"limit":100000000},"unified":{"memory.high":"90001408"}}' },
};

const script = `
  oci() { ctr-bun oci "$@"; }
  limits() { (cd /sys/fs/cgroup/verbs/counts && cat memory.max memory.swap.max memory.high cpu.weight cpu.max pids.max | tr '\\n' ' '); }
  status() { oci state counts | sed -n 's/.*"status": "\\(.*\\)".*/\\1/p'; }
  detached() { oci run --detach --bundle "/b/$1" "$1" </dev/null >/dev/null 2>&1; }

  detached counts
  outcome pause oci pause counts
  outcome paused sh -c 'ctr-bun oci state counts | grep status; grep frozen /sys/fs/cgroup/verbs/counts/cgroup.events'
  outcome pause-again oci pause counts
  outcome exec-paused oci exec counts true
  outcome delete-paused oci delete counts
  outcome resume oci resume counts
  outcome resumed status
  outcome resume-again oci resume counts
  outcome ps oci ps --format json counts

  outcome limits limits
  outcome memory oci update --memory 32m counts
  outcome memory-after limits
  outcome too-much oci update --cpu-share 300 --memory 1g counts
  outcome too-much-after limits
  outcome quota oci update --cpu-quota 20000 counts
  outcome period oci update --cpu-period 50000 --pids-limit -1 counts
  outcome period-after limits
  outcome half oci update --cpu-share 300 --cpu-quota 30000 --cpuset-cpus 4095 counts
  outcome half-after limits
  outcome unlimited oci update --memory -1 counts
  outcome unlimited-after limits
  outcome file oci update --resources /resources.json counts
  outcome file-after limits

  outcome stats oci events --stats counts
  oci pause counts
  outcome kill-paused oci kill counts KILL
  sleep 1
  outcome killed status
  outcome stats-stopped oci events --stats counts
  oci delete counts

  detached eats
  outcome oom oci events --interval 1h eats
  oci delete --force eats
  check left rmdir /sys/fs/cgroup/verbs
`;

let vm: VmRun;
beforeAll(async () => {
  vm = await runInVm({ files, script, timeout: 240_000 });
}, 300_000);

const outcome = (name: string): string => (vm.results.get(name)?.text ?? "no result").replaceAll("|", "\n");
const after = (name: string): string =>
  outcome(name)
    .replace(/^exit code 0: /, "")
    .trim();

describe("pause and resume", () => {
  test("freeze the cgroup and thaw it", () => {
    expect(outcome("pause")).toBe("exit code 0: ");
    expect(outcome("paused")).toContain('"status": "paused"');
    expect(outcome("paused")).toContain("frozen 1");
    expect(outcome("resume")).toBe("exit code 0: ");
    expect(outcome("resumed")).toBe("exit code 0: running");
  });
  test("are refused in a state that does not fit, as are exec and delete", () => {
    expect(outcome("pause-again")).toMatch(/^exit code 1: .*container not running/);
    expect(outcome("resume-again")).toMatch(/^exit code 1: .*container not paused/);
    expect(outcome("exec-paused")).toContain("cannot exec in a paused container");
    expect(outcome("delete-paused")).toContain("that is not stopped: paused");
  });
  test("KILL ends a paused container", () => {
    expect(outcome("kill-paused")).toBe("exit code 0: ");
    expect(outcome("killed")).toBe("exit code 0: stopped");
  });
});

test("ps lists the processes", () => {
  expect(outcome("ps")).toMatch(/^exit code 0: \[\d+(,\d+)*\]$/);
});

describe("update", () => {
  test("starts from what the bundle says", () => {
    expect(after("limits")).toBe(`${64 * mebibyte} ${64 * mebibyte} max 59 50000 100000 50`);
  });
  test("keeps memory and swap together what they were", () => {
    expect(after("memory-after")).toBe(`${32 * mebibyte} ${96 * mebibyte} max 59 50000 100000 50`);
    expect(outcome("too-much")).toMatch(
      /^exit code 1: .*--memory-swap: is 134217728, less than memory.limit/,
    );
    expect(after("too-much-after")).toBe(after("memory-after"));
  });
  test("keeps the quota where the period alone changes", () => {
    expect(after("period-after")).toBe(`${32 * mebibyte} ${96 * mebibyte} max 59 20000 50000 max`);
  });
  test("is put back where the kernel refuses a part", () => {
    expect(outcome("half")).toMatch(/^exit code 1: .*--cpuset-cpus: cannot set cpuset.cpus to 4095/);
    expect(after("half-after")).toBe(after("period-after"));
  });
  test("takes memory's limit away with swap's", () => {
    expect(after("unlimited-after")).toBe("max max max 59 20000 50000 max");
  });
  test("reads a file, the cgroup2 tree's own files in it", () => {
    expect(outcome("file")).toBe("exit code 0: ");
    expect(after("file-after")).toBe(`99999744 max 90001408 59 20000 50000 max`);
  });
});

describe("events", () => {
  test("count in runc's shape", () => {
    const { type, id, data } = JSON.parse(after("stats"));
    expect({ type, id }).toEqual({ type: "stats", id: "counts" });
    expect(Object.keys(data).sort()).toEqual(
      "blkio cpu cpuset hugetlb intel_rdt memory network_interfaces pids".split(" "),
    );
    expect(data.memory.usage).toMatchObject({ limit: 99_999_744, failcnt: 0 });
    expect(data.memory.raw.anon).toBeGreaterThan(0);
    expect(data.cpu.usage.total).toBeGreaterThan(0);
    expect(data.pids.current).toBeGreaterThan(0);
    expect(outcome("stats-stopped")).toContain("container with id counts is not running");
  });
  test("tell that memory ran out, and end with the container", () => {
    // How often the kernel is asked while it counts differs, so counts may come in one part or in several.
    const told = after("oom")
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; id: string; data?: Record<string, number> });
    expect(told.filter(({ type }) => type === "oom")).toEqual([{ type: "oom", id: "eats" }]);
    const kills = told.filter(({ type }) => type === "memory.events").map(({ data }) => data?.oom_kill ?? 0);
    expect(kills.reduce((sum, one) => sum + one, 0)).toBe(1);
  });
  test("nothing is left", () => {
    expect(vm.results.get("left")).toEqual({ ok: true, text: "" });
  });
});
