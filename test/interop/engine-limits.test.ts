// Limits of the engine's containers, as the kernel has them: what podman gives with the same flags, side by side; what
// update changes of containers that run and that have ended; what stats and top show of them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { runOnTerminal } from "../support/terminal.ts";
import { command } from "../support/two-runtimes.ts";
import { until } from "../support/until.ts";
import { executable, newWorld, type Result, type World } from "./engine-setup.ts";
import { type Podman, startPodman } from "./podman-setup.ts";

let world: World;
let podman: Podman;
beforeAll(async () => {
  world = await newWorld();
  podman = startPodman();
  await world.ctr("pull", world.plain);
});
afterAll(async () => {
  podman.end();
  await world.end();
});

/** Podman with runc, by the name that it has there. */
const asked = async (...args: string[]): Promise<Result> => {
  const { code, out, err } = await command(podman.line("peer-a", args), podman.options);
  return { code, stdout: out, stderr: err };
};

/** Files of limits that a container finds of its own cgroup, v1's and v2's: those that there are, with what they say. */
const FILES = [
  ..."limit_in_bytes memsw.limit_in_bytes soft_limit_in_bytes swappiness oom_control"
    .split(" ")
    .map((name) => `memory/memory.${name}`),
  ..."shares cfs_quota_us cfs_period_us rt_runtime_us".split(" ").map((name) => `cpu/cpu.${name}`),
  ..."cpuset/cpuset.cpus cpuset/cpuset.mems pids/pids.max".split(" "),
  ..."read_bps_device write_bps_device read_iops_device write_iops_device"
    .split(" ")
    .map((name) => `blkio/blkio.throttle.${name}`),
  ..."memory.max memory.swap.max memory.low cpu.max cpu.weight cpuset.cpus cpuset.mems pids.max io.max".split(
    " ",
  ),
];
const SHOW = `cd /sys/fs/cgroup; cat /proc/self/oom_score_adj; for f in ${FILES.join(" ")}; do test -e $f && echo $f $(cat $f); done; true`;

/** A disk that the kernel can throttle. */
const disk = `/dev/${readdirSync("/sys/block").find((name) => /^(vd|sd|nvme|loop)/.test(name)) ?? ""}`;

const LIMITS = [
  ...["--memory", "64m", "--memory-reservation", "32m", "--memory-swappiness", "10", "--oom-kill-disable"],
  ...["--oom-score-adj", "500", "--cpu-shares", "512", "--cpu-quota", "20000", "--cpu-period", "50000"],
  ...["--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "20"],
  ...["--device-read-bps", `${disk}:1mb`, "--device-write-bps", `${disk}:2mb`],
  ...["--device-read-iops", `${disk}:100`, "--device-write-iops", `${disk}:200`],
];

/** A container in the background, running. */
async function background(
  name: string,
  flags: readonly string[],
  script: string,
): Promise<() => Promise<void>> {
  const child = world.start("run", "--name", name, ...flags, world.plain, "sh", "-c", script);
  await until(async () =>
    (await world.ctr("ps", "--format", "{{.Names}}")).stdout.split("\n").includes(name),
  );
  return async () => {
    await world.ctr("rm", "-f", name);
    await child.exited;
  };
}

async function inspected(name: string, format: string): Promise<string> {
  return (await world.ctr("inspect", "--format", format, name)).stdout.trim();
}

describe("run", () => {
  test("holds every limit with the values that podman writes", async () => {
    const [ours, theirs] = await Promise.all([
      world.sh(LIMITS, SHOW),
      asked("run", "--rm", "--network", "none", ...LIMITS, "box", "sh", "-c", SHOW),
    ]);
    expect(theirs.code).toBe(0);
    expect(theirs.stdout).toContain("500\n");
    expect(ours).toEqual({ ...theirs, stderr: ours.stderr });
    // Only what v2 has nothing like.
    expect(ours.stderr.replaceAll(/.*(--memory-swappiness|--oom-kill-disable) is ignored.*\n/g, "")).toBe("");
  });

  test("without flags limits nothing", async () => {
    const files = (await world.sh([], SHOW)).stdout;
    const theirs = await asked(
      "run",
      "--rm",
      "--network",
      "none",
      "--pids-limit",
      "0",
      "box",
      "sh",
      "-c",
      SHOW,
    );
    expect(files).toBe(theirs.stdout);
  });

  test("slows a program down to its quota, and keeps it on its CPUs", async () => {
    const script =
      "timeout 30 sh -c 'until grep -qs \"nr_throttled [1-9]\" /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat; do :; done'; grep nr_throttled /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat 2>/dev/null; grep Cpus_allowed_list /proc/self/status";
    const { stdout } = await world.sh(
      ["--cpu-quota", "10000", "--cpu-period", "100000", "--cpuset-cpus", "0"],
      script,
    );
    expect(stdout).toMatch(/nr_throttled [1-9]/);
    expect(stdout).toMatch(/Cpus_allowed_list:\s+0\n/);
  });

  test("lets a device be used that a rule allows, and no other", async () => {
    const loop = "mknod /tmp/loop b 7 0; head -c 0 /tmp/loop";
    expect(await world.sh([], loop)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Operation not permitted"),
    });
    expect(await world.sh(["--device-cgroup-rule", "b 7:* r"], loop)).toMatchObject({ code: 0, stderr: "" });
    expect((await world.sh(["--device-cgroup-rule", "c 7:* r"], loop)).code).toBe(1);
  });

  test("makes the cgroup below a parent, and shows or hides where", async () => {
    const parent = `/ctr-bun-test-${process.pid}`;
    const own = "grep -E ':(memory)?:' /proc/self/cgroup | cut -d: -f3 | sort -u";
    try {
      const shown = await world.sh(["--cgroup-parent", parent, "--cgroupns", "host"], own);
      expect(shown.stdout).toMatch(new RegExp(`^${parent}/[0-9a-f]{64}\n$`));
      // As podman has it, below the root.
      const relative = await world.sh(["--cgroup-parent", parent.slice(1), "--cgroupns", "host"], own);
      expect(relative.stdout).toStartWith(`${parent}/`);
      expect((await world.sh(["--cgroup-parent", parent, "--cgroupns", "private"], own)).stdout).toBe("/\n");
      // Docker's default.
      const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
      expect((await world.sh([], own)).stdout).toMatch(unified ? /^\/\n$/ : /^\/ctr-bun\/[0-9a-f]{64}\n$/);
    } finally {
      for (const root of ["", ...readdirSync("/sys/fs/cgroup")]) {
        const path = join("/sys/fs/cgroup", root, parent);
        if (existsSync(path)) rmdirSync(path);
      }
    }
  });

  test("makes no cgroup where none is wanted", async () => {
    const { stdout, stderr } = await world.sh(
      ["--cgroups", "disabled", "--cgroupns", "host"],
      "cat /proc/self/cgroup",
    );
    expect(stdout).not.toMatch(/[0-9a-f]{64}/);
    expect(stderr).toContain("access to devices is not restricted");
    const limited = await world.sh(["--cgroups", "disabled", "--memory", "64m"], "true");
    expect(limited).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("--memory: cannot set limits"),
    });
  });

  test("writes files of cgroup v2 by name", async () => {
    const end = await background("conf", ["--cgroup-conf", "cgroup.max.depth=7"], "sleep 100");
    const id = await inspected("conf", "{{.Id}}");
    const root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
      existsSync(join(path, "cgroup.procs")),
    );
    expect(readFileSync(join(root ?? "", "ctr-bun", id, "cgroup.max.depth"), "utf8")).toBe("7\n");
    expect(await inspected("conf", "{{json .HostConfig.CgroupConf}}")).toBe('{"cgroup.max.depth":"7"}');
    await end();
    expect(await world.sh(["--cgroup-conf", "memory.nosuch=1"], "true")).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("--cgroup-conf"),
    });
  });

  test("refuses what this kernel cannot hold, by the flag", async () => {
    const booted = existsSync("/run/systemd/system");
    for (const [flags, words] of [
      ...(booted
        ? []
        : [[["--cgroup-manager", "systemd"], "--cgroup-manager: systemd does not run on this"] as const]),
      [["--device-read-bps", "/dev/null:1mb"], "--device-read-bps: /dev/null is not a disk on this host"],
      [
        ["--device-write-iops", "/dev/nosuch:1"],
        "--device-write-iops: /dev/nosuch is not there on this host",
      ],
      [["--cpuset-cpus", "4000"], "--cpuset-cpus: 4000 is not all available"],
      [["--cgroup-parent", "x.slice"], '--cgroup-parent: "x.slice" is a slice of systemd\'s'],
    ] as const) {
      const { code, stderr } = await world.sh(flags, "true");
      expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringContaining(words) });
    }
    expect(world.leftovers()).toMatchObject({ directories: [], cgroups: [] });
  });

  test("keeps what was asked for: inspect has it as podman's has", async () => {
    const end = await background("shown", LIMITS, "sleep 100");
    const name = "limits-shown";
    await asked("run", "--detach", "--name", name, "--network", "none", ...LIMITS, "box", "sleep", "100");
    const ours = JSON.parse(await inspected("shown", "{{json .HostConfig}}"));
    const theirs = JSON.parse((await asked("inspect", "--format", "{{json .HostConfig}}", name)).stdout);
    const keys = Object.keys(ours).filter((key) => /^(Cpu|Memory|Pids|Oom|Blkio|Nano)/.test(key));
    expect(keys).toHaveLength(21);
    const values = (config: Record<string, unknown>) =>
      keys.map((key) => {
        const value = config[key];
        // An empty list is null for podman; and it has no disk's path, but asks for it by number.
        return [key, Array.isArray(value) || value === null ? "a list" : value];
      });
    expect(values(ours)).toEqual(values(theirs));
    expect(ours.BlkioDeviceWriteBps).toEqual([{ Path: disk, Rate: 2 * 1024 * 1024 }]);
    await Promise.all([end(), asked("rm", "--force", "--time", "0", name)]);
  });
});

describe("update", () => {
  test("changes one that runs at once, and one that has ended for its next start", async () => {
    await world.ctr("run", "--name", "ended", "--memory", "64m", world.plain, "true");
    const end = await background("runs", ["--memory", "64m"], "sleep 100");
    const flags = ["--memory", "96m", "--memory-swap", "-1", "--cpus", "0.5", "--cpu-shares", "300"];
    const more = ["--pids-limit", "33", "--cpuset-cpus", "0", "--device-write-bps", `${disk}:3mb`];
    const { code, stdout } = await world.ctr("update", ...flags, ...more, "runs", "ended");
    expect([code, stdout]).toEqual([0, "runs\nended\n"]);
    const files = (await world.ctr("exec", "runs", "sh", "-c", SHOW)).stdout;
    expect(files).toMatch(/^(memory.memory.limit_in_bytes|memory.max) 100663296$/m);
    expect(files).toMatch(/^(cpu.cpu.cfs_quota_us 50000|cpu.max 50000 100000)$/m);
    expect(files).toMatch(/^pids\S* 33$/m);
    expect(files).toMatch(/^cpuset\S*cpus 0$/m);
    expect(files).toMatch(/[: =]3145728\b/);
    const format =
      "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpusetCpus}}";
    for (const name of ["runs", "ended"]) {
      expect(await inspected(name, format)).toBe("100663296 -1 500000000 300 33 0");
    }
    const id = await inspected("ended", "{{.Id}}");
    const config = JSON.parse(readFileSync(join(world.store, "containers", id, "config.json"), "utf8"));
    expect(config.linux.resources).toMatchObject({
      memory: { limit: 100663296, swap: -1 },
      pids: { limit: 33 },
    });
    await end();
    await world.ctr("rm", "ended");
  });

  test("tells of each that it cannot change, and leaves it as it was", async () => {
    const end = await background("whole", ["--memory", "64m"], "sleep 100");
    const big = await world.ctr("update", "--memory", "1g", "whole", "nosuch");
    expect(big.code).toBe(1);
    expect(big.stderr).toContain(
      "--memory: 1073741824 is above the container's limit on memory and swap together",
    );
    expect(big.stderr).toContain("No such container: nosuch");
    expect((await world.ctr("exec", "whole", "sh", "-c", SHOW)).stdout).toContain(" 67108864\n");
    expect(await inspected("whole", "{{.HostConfig.Memory}}")).toBe("67108864");
    const restart = await world.ctr("update", "--restart", "always", "whole");
    expect(restart).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("--restart: containers are not"),
    });
    const nothing = await world.ctr("update", "whole");
    expect(nothing).toMatchObject({ code: 125, stderr: expect.stringContaining("nothing to change") });
    await end();
  });
});

describe("stats and top", () => {
  test("show what containers use", async () => {
    const ends = [
      await background("busy", ["--memory", "64m", "--cpus", "0.3"], "sleep 1000 & while :; do :; done"),
      await background("idle", [], "head -c 40000000 /dev/zero > /tmp/file; echo; sleep 100"),
    ];
    const rows = async () => {
      const { stdout } = await world.ctr("stats", "--no-stream", "--format", "json", "busy", "idle");
      return stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    };
    // It never waits: how much it gets of a loaded host is another matter.
    await until(async () => {
      const [{ CPUPerc, PIDs }] = await rows();
      return PIDs === "2" && Number.parseFloat(CPUPerc) > 3;
    }, 30);
    const [busy, idle] = await rows();
    expect(Object.keys(busy).sort()).toEqual(
      ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"].sort(),
    );
    expect(busy).toMatchObject({ Container: "busy", Name: "busy", NetIO: "0B / 0B", PIDs: "2" });
    expect(busy.MemUsage).toMatch(/^[\d.]+[KM]iB \/ 64MiB$/);
    expect(idle.MemUsage).toMatch(/ \/ [\d.]+[GT]iB$/);
    const used = "cat /sys/fs/cgroup/memory/memory.usage_in_bytes /sys/fs/cgroup/memory.current 2>/dev/null";
    await until(async () => Number((await world.ctr("exec", "idle", "sh", "-c", used)).stdout) > 40_000_000);
    // Files that are not in use are not the container's memory.
    const memory = (await rows())[1].MemUsage;
    expect(memory).toMatch(/^([\d.]+KiB|\d(\.\d+)?MiB) /);
    await Promise.all(ends.map((end) => end()));
  });

  test("show processes as podman does, and as ps does", async () => {
    const script = "sleep 1000 & sleep 2000; true";
    const end = await background("tops", ["-u", "demo"], script);
    const run = ["run", "--detach", "--name", "limits-top", "--network", "none", "--user", "demo"];
    await asked(...run, "box", "sh", "-c", script);
    // A process that has been forked is a shell until it has become sleep.
    const sleepers = ({ stdout }: Result): number =>
      stdout.split("\n").filter((line) => line === "sleep").length;
    await until(async () => sleepers(await world.ctr("top", "tops", "comm")) === 2);
    await until(async () => sleepers(await asked("top", "limits-top", "comm")) === 2);
    const words = ({ stdout }: Result): string[] =>
      stdout
        .trim()
        .split("\n")
        .map((line) => line.trim().replace(/ {2,}/g, "|"));
    // The container's own numbers, names of its own users.
    const columns = "ppid user group groups huser comm args seccomp state tty capeff pgid".split(" ");
    const ours = words(await world.ctr("top", "tops", ...columns));
    expect(ours).toHaveLength(4);
    expect(ours.sort()).toEqual(words(await asked("top", "limits-top", ...columns)).sort());
    // Those of the host.
    const [heading, first] = words(await world.ctr("top", "tops"));
    expect(heading).toBe("UID|PID|PPID|C|STIME|TTY|TIME|CMD");
    expect(first?.split("|")[1]).toBe(await inspected("tops", "{{.State.Pid}}"));
    const listed = words(await world.ctr("top", "tops", "-eo", "pid,comm"));
    expect(listed.map((line) => line.split("|")[1])).toEqual(["COMMAND", "sh", "sleep", "sleep"]);
    expect(words(await world.ctr("top", "tops", "aux"))[0]).toMatch(/^USER/);
    await Promise.all([end(), asked("rm", "--force", "--time", "0", "limits-top")]);
  });

  test("count what comes over a network, but for the host's", async () => {
    const ends = [await background("left", [], "sleep 100"), await background("right", [], "sleep 100")];
    const host = await background("shared", ["--network", "host"], "sleep 100");
    const [left, right] = await Promise.all(
      ["left", "right"].map((name) => inspected(name, "{{.State.Pid}}")),
    );
    for (const line of [
      `nsenter -t ${left} -n ip link add veth0 type veth peer name veth1`,
      `nsenter -t ${left} -n ip link set veth1 netns ${right}`,
      `nsenter -t ${left} -n ip addr add 10.9.8.1/24 dev veth0`,
      `nsenter -t ${left} -n ip link set veth0 up`,
      `nsenter -t ${right} -n ip addr add 10.9.8.2/24 dev veth1`,
      `nsenter -t ${right} -n ip link set veth1 up`,
    ]) {
      expect(await command(line.split(" "))).toMatchObject({ code: 0 });
    }
    const { stdout } = await world.ctr(
      "exec",
      "left",
      "ping",
      "-c",
      "3",
      "-i",
      "0.2",
      "-s",
      "1400",
      "10.9.8.2",
    );
    expect(stdout).toContain("3 packets received");
    const format = ["stats", "--no-stream", "--format", "{{.Name}} {{.NetIO}}", "left", "right", "shared"];
    const rows = (await world.ctr(...format)).stdout;
    expect(rows).toMatch(
      /^left [4-9][\d.]*kB \/ [4-9][\d.]*kB\nright [4-9][\d.]*kB \/ [4-9][\d.]*kB\nshared 0B \/ 0B\n$/,
    );
    await Promise.all([...ends.map((end) => end()), host()]);
  });

  test("go on until the last that was named has ended, or nobody reads", async () => {
    const end = await background("going", [], "sleep 100");
    const child = world.start("stats", "--format", "{{.Name}} {{.CPUPerc}}", "going");
    let shown = "";
    const read = (async () => {
      for await (const chunk of child.stdout) shown += new TextDecoder().decode(chunk);
    })();
    await until(() => shown.split("\n").length > 2);
    const tail = Bun.spawn(["sh", "-c", `"${executable}" --store "${world.store}" stats | head -1`], {
      stdout: "pipe",
    });
    expect(await new Response(tail.stdout).text()).toStartWith("CONTAINER ID");
    expect(await tail.exited).toBe(0);

    const terminal = runOnTerminal([executable, "--store", world.store, "stats", "going"], 120);
    await terminal.until("going");
    await terminal.until("\x1b[J");
    await end();
    expect(await terminal.ended()).toBe(0);
    terminal.close();
    expect(await child.exited).toBe(0);
    await read;
    expect(shown).toMatch(/^(going [\d.]+%\n)+going --\n$/);
  });

  test("show those that have ended with --all, and name what is not there", async () => {
    await world.ctr("run", "--name", "over", world.plain, "true");
    expect((await world.ctr("stats", "--no-stream")).stdout).toMatch(
      /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS\n$/,
    );
    expect((await world.ctr("stats", "--no-stream", "--all")).stdout).toMatch(/over +-- +-- \/ -- +-- /);
    expect((await world.ctr("stats", "--no-stream", "nosuch")).stderr).toContain("No such container: nosuch");
    expect((await world.ctr("top", "over")).stderr).toContain("container over is not running");
    await world.ctr("rm", "over");
  });
});
