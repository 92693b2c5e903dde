// The engine's limits in a machine with pure cgroup v2 and systemd: the files that its flags write, by ctr-bun itself and
// by systemd; what v2 has nothing like; what stats, top and update do there. One machine runs all of it; its store is made on the host.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInVm, type VmRun } from "../../scripts/vm/run.ts";
import { CTR_BUN, runCommand } from "../support/bundle.ts";
import { imagePath } from "../support/images.ts";
import { startRegistry } from "../support/registry.ts";

/** Files of a container's own cgroup, with what they say. */
const SHOW =
  "cat /proc/self/oom_score_adj; cd /sys/fs/cgroup; for f in memory.max memory.low memory.high memory.swap.max cpu.weight cpu.max cpuset.cpus cpuset.mems pids.max io.max; do echo $f $(cat $f); done";

const script = `
  c() { ctr-bun --store /store "$@"; }
  image=$(c images -q)
  for manager in cgroupfs systemd; do
    outcome limits-$manager c run --rm --cgroup-manager $manager --memory 64m --memory-reservation 32m \\
      --cpu-shares 512 --cpu-quota 20000 --cpu-period 50000 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 20 \\
      --oom-score-adj -500 --cgroup-conf memory.high=61440000 --device-read-bps /dev/loop0:1mb \\
      --device-write-iops /dev/loop0:100 $image sh -c '${SHOW}'
  done
  outcome ignored c run --rm --memory-swappiness 10 --oom-kill-disable --memory 64m --cpu-rt-runtime 1000 $image true
  outcome weight c run --rm --blkio-weight 100 $image sh -c 'cat /sys/fs/cgroup/io.weight 2>/dev/null || cat /sys/fs/cgroup/io.bfq.weight'
  outcome private c run --rm $image cat /proc/self/cgroup
  outcome path c run --rm --cgroupns host --cgroup-manager cgroupfs --cgroup-parent /box $image cat /proc/self/cgroup
  outcome scope c run --rm --cgroupns host $image cat /proc/self/cgroup
  outcome slice c run --rm --cgroupns host --cgroup-parent box-small.slice $image cat /proc/self/cgroup
  outcome no-slice c run --rm --cgroup-parent /box $image true
  outcome no-file c run --rm --cgroup-conf memory.nosuch=1 $image true
  c run --name busy --memory 64m --cpus 0.5 -u demo $image sh -c 'while :; do :; done' </dev/null >/tmp/busy 2>&1 &
  # Where it does not start, what it said is why.
  for try in $(seq 300); do c ps --format '{{.Names}}' | grep -q busy && break; sleep 0.1; done
  outcome started sh -c "[ $try != 300 ] || cat /tmp/busy"
  outcome stats c stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}'
  outcome top c top busy pid user args
  outcome update c update --memory 96m --cpus 0.2 --pids-limit 7 busy
  outcome updated c exec busy sh -c '${SHOW}'
  outcome inspect c inspect busy --format '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.CgroupnsMode}} {{.HostConfig.CgroupManager}}'
  outcome unit systemctl show --property MemoryMax --property TasksMax "ctr-bun-$(c inspect busy --format '{{.Id}}').scope"
  # More than they may have; and busy is there meanwhile, which is killed by somebody else, in the same slice.
  for i in 1 2 3 4 5; do
    c run --name hungry$i --memory 16m $image dd if=/dev/zero of=/dev/null bs=48M count=1 >/dev/null 2>&1
  done
  c kill busy >/dev/null
  wait
  hungry='hungry1 hungry2 hungry3 hungry4 hungry5'
  outcome killed c inspect $hungry busy --format '{{.Name}} {{.State.OOMKilled}} {{.State.ExitCode}}'
  outcome rm c rm $hungry busy
  outcome left sh -c 'find /sys/fs/cgroup -name "*[0-9a-f]*" -type d | grep -E "[0-9a-f]{64}"; systemctl list-units --all --plain --no-legend "ctr-bun-*"; true'
`;

let work: string;
let vm: VmRun;
beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "ctr-bun-vm-engine-"));
  const store = join(work, "store");
  const registry = await startRegistry();
  try {
    const image = registry.push(imagePath("busybox"), "plain", "busybox:plain");
    expect(runCommand([CTR_BUN, "--store", store, "pull", image])).toMatchObject({ code: 0 });
  } finally {
    await registry.stop();
  }
  vm = await runInVm({ init: "systemd", files: { "/store": { from: store } }, script, timeout: 280_000 });
}, 320_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** What a command put out and how it ended, with its lines as they were. */
const outcome = (name: string): string => (vm.results.get(name)?.text ?? "no result").replaceAll("|", "\n");

describe("run", () => {
  test.each(["cgroupfs", "systemd"])("holds every limit that v2 has, by %s", (manager) => {
    expect(outcome(`limits-${manager}`).split("\n")).toEqual([
      "exit code 0: -500",
      "memory.max 67108864",
      "memory.low 33554432",
      "memory.high 61440000",
      "memory.swap.max 67108864",
      // The current formula of runc and crun, not the older linear one.
      "cpu.weight 59",
      "cpu.max 20000 50000",
      "cpuset.cpus 0",
      "cpuset.mems 0",
      "pids.max 20",
      "io.max 7:0 rbps=1048576 wbps=max riops=max wiops=100",
    ]);
    expect(outcome("weight")).toMatch(/^exit code 0: default \d+$/);
  });

  test("says which flags v2 has nothing like", () => {
    for (const flag of [
      "--memory-swappiness is",
      "--oom-kill-disable is",
      "--cpu-rt-runtime and --cpu-rt-period are",
    ])
      expect(outcome("ignored")).toContain(`warning: ${flag} ignored: cgroup v2 has nothing like`);
    expect(outcome("ignored")).toStartWith("exit code 0: ");
  });

  test("hides the container's place in a namespace of its own, unless it is to be seen", () => {
    expect(outcome("private")).toBe("exit code 0: 0::/");
    expect(outcome("path")).toMatch(/^exit code 0: 0::\/box\/[0-9a-f]{64}$/);
  });

  test("lets systemd make the cgroup where it can, as Docker does", () => {
    expect(outcome("scope")).toMatch(/^exit code 0: 0::\/system\.slice\/ctr-bun-[0-9a-f]{64}\.scope$/);
    expect(outcome("slice")).toMatch(
      /^exit code 0: 0::\/box\.slice\/box-small\.slice\/ctr-bun-[0-9a-f]{64}\.scope$/,
    );
    expect(outcome("no-slice")).toStartWith(
      'exit code 125: ctr-bun: --cgroup-parent: "/box" is not the name of a slice, which systemd takes',
    );
  });

  test("refuses a file that the cgroup has not, by the flag", () => {
    expect(outcome("no-file")).toMatch(
      /^exit code 125: ctr-bun: --cgroup-conf: cannot set memory\.nosuch to 1: /,
    );
  });
});

test("stats counts", () => {
  expect(outcome("started")).toBe("exit code 0: ");
  const [, percent, memory, pids] =
    /^exit code 0: busy ([\d.]+)% ([\d.]+[KM]iB \/ 64MiB) (\d+)$/.exec(outcome("stats")) ?? [];
  expect(memory).toBeDefined();
  expect(pids).toBe("1");
  // Half a CPU is its limit, and it never waits.
  expect(Number(percent)).toBeWithin(5, 75);
});

test("top shows the container's own numbers and names", () => {
  expect(outcome("top")).toMatch(/^exit code 0: PID +USER +COMMAND\n1 +demo +sh -c while/);
});

test("update changes the cgroup, and what inspect shows", () => {
  expect(outcome("update")).toBe("exit code 0: busy");
  const files = outcome("updated");
  for (const line of [
    "memory.max 100663296",
    "memory.swap.max 33554432",
    "cpu.max 20000 100000",
    "pids.max 7",
  ])
    expect(files).toContain(`${line}\n`);
  expect(outcome("inspect")).toBe("exit code 0: 100663296 200000000 7 private systemd");
  expect(outcome("unit").split("\n").sort()).toEqual(["TasksMax=7", "exit code 0: MemoryMax=100663296"]);
});

test("inspect says each time that a program was killed for memory, though systemd removes the cgroup at once", () => {
  const killed = [1, 2, 3, 4, 5].map((number) => `/hungry${number} true 137`);
  expect(outcome("killed").split("\n")).toEqual([
    `exit code 0: ${killed[0]}`,
    ...killed.slice(1),
    "/busy false 137",
  ]);
});

test("nothing of the containers is left", () => {
  expect(outcome("rm")).toBe(
    `exit code 0: ${["hungry1", "hungry2", "hungry3", "hungry4", "hungry5", "busy"].join("\n")}`,
  );
  expect(outcome("left")).toBe("exit code 0: ");
});
