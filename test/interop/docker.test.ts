// Docker with ctr-bun as a runtime (--add-runtime) does what it does with runc: exit codes that it makes of the words of
// errors, state, stats, top, update, health checks, restarts, and what a container sees of itself.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupFilesOf, holds, removeWhenLeft } from "../support/cgroup-files.ts";
import { LOOK } from "../support/container-look.ts";
import { limitedFiles, limitFlags } from "../support/engine-limits.ts";
import { type LoopDevice, makeLoopDevice } from "../support/loop-device.ts";
import {
  command,
  compared,
  comparedCalls,
  TYPED_SCRIPT,
  typeOnTerminal,
  untilLogged,
  type Way,
} from "../support/two-runtimes.ts";
import { type Docker, startDocker } from "./docker-setup.ts";

let docker: Docker;
let loop: LoopDevice;
beforeAll(async () => {
  docker = await startDocker();
  loop = makeLoopDevice(docker.folder);
});
afterAll(async () => {
  loop?.detach();
  await docker?.end();
  await removeWhenLeft(GROUP);
});

/** The cgroup that some containers are to be below. */
const GROUP = `ctr-bun-docker-${process.pid}`;

const engine = () => docker;
const sh = (script: string, ...flags: string[]) => ["run", "--rm", ...flags, "box", "sh", "-c", script];

/** Waits until what `inspect` says under a format is this. */
async function until(way: Way, name: string, format: string, wanted: string): Promise<void> {
  let found = "";
  const end = performance.now() + 30_000;
  while (found !== wanted && performance.now() < end) {
    found = (await way.quietly(["inspect", "--format", format, name])).out.trim();
    if (found !== wanted) await Bun.sleep(100);
  }
  way.note(format, found, (value) => value === wanted);
}

describe("docker run", () => {
  compared("passes input, output and exit codes on", engine, async (way) => {
    await way.fails(7, sh("echo out; echo err >&2; exit 7"), { shows: /out\nerr/ });
    await way.ok(["run", "--rm", "--interactive", "box", "cat"], { input: "typed", shows: /typed/ });
  });

  compared("126 and 127 of the runtime's words", engine, async (way) => {
    const run = (...command: string[]) => ["run", "--rm", "box", ...command];
    await way.fails(127, run("nowhere"), { shows: /executable file not found in \$PATH/ });
    await way.fails(127, run("/nowhere"), { shows: /no such file or directory/ });
    await way.fails(126, run("/etc/passwd"), { shows: /permission denied/ });
    await way.fails(126, run("/etc"), { shows: /permission denied/ });
    const bind = ["--volume", "/etc/passwd:/tmp"];
    await way.fails(125, sh("true", ...bind), { shows: /Are you trying to mount a directory onto a file/ });
  });

  compared("a container sees the same of itself", engine, async (way) => {
    await way.ok(sh(LOOK), { shows: /== kernel/ });
    await way.ok(sh(LOOK, "--init"), { shows: /== kernel/ });
    const confined = [
      "--read-only",
      "--cap-drop",
      "all",
      "--user",
      "1000:100",
      "--workdir",
      "/new",
      "--tmpfs",
      "/scratch",
    ];
    await way.ok(sh(LOOK, ...confined, "--security-opt", "no-new-privileges"), {
      shows: /CapEff:\t0000000000000000/,
    });
    const host = [
      "--pid",
      "host",
      "--ipc",
      "host",
      "--uts",
      "host",
      "--cgroupns",
      "host",
      "--group-add",
      "77",
    ];
    await way.ok(sh(LOOK, ...host, "--security-opt", "seccomp=unconfined"), { shows: /Seccomp:\t0/ });
  });

  compared("limits, devices, --init", engine, async (way) => {
    const files =
      "memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus pids/pids.max";
    await way.ok(
      sh(
        `cd /sys/fs/cgroup; cat ${files}; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; stat -c '%a %t:%T' /dev/fuse`,
        ...[
          "--memory",
          "32m",
          "--cpus",
          "0.5",
          "--cpu-shares",
          "500",
          "--cpuset-cpus",
          "0",
          "--pids-limit",
          "33",
        ],
        ...["--ulimit", "nofile=100:200", "--oom-score-adj", "100", "--device", "/dev/fuse"],
      ),
      { shows: /33554432\n50000\n500\n0\n33\n100\n200/ },
    );
    await way.ok(sh("cat /proc/1/comm; tr '\\0' ' ' < /proc/1/cmdline", "--init"), { shows: /docker-init/ });
    const sysctl = ["--sysctl", "net.ipv4.ip_forward=1", "--hostname", "abc"];
    await way.ok(sh("cat /proc/sys/net/ipv4/ip_forward; hostname", ...sysctl), { shows: /1\nabc/ });
  });

  compared("a terminal", engine, async (way) => {
    await way.typed(
      5,
      ["run", "--rm", "--interactive", "--tty", "box", "sh", "-c", TYPED_SCRIPT],
      typeOnTerminal,
    );
  });
});

describe("a container in the background", () => {
  compared("exec, top, stats, update, pause", engine, async (way) => {
    const name = way.name("box");
    await way.ok([
      "run",
      "--detach",
      "--name",
      name,
      "--memory",
      "64m",
      "--memory-swap",
      "64m",
      "box",
      "sleep",
      "100",
    ]);
    const exec = (...args: string[]) => ["exec", ...args];
    await way.fails(3, exec(name, "sh", "-c", "echo in; exit 3"), { shows: /in/ });
    await way.ok(exec("--interactive", name, "cat"), { input: "typed", shows: /typed/ });
    await way.ok(exec("--user", "demo", "--workdir", "/tmp", "--env", "A=1", name, "sh", "-c", LOOK), {
      shows: /demo/,
    });
    await way.fails(126, exec(name, "nowhere"), { shows: /executable file not found/ });
    await way.fails(126, exec(name, "/etc"), { shows: /permission denied/ });
    await way.fails(126, exec("--workdir", "/none", name, "pwd"), { shows: /no such file or directory/ });
    await way.ok(exec("--detach", name, "sleep", "99"));
    await way.typed(
      6,
      exec("--interactive", "--tty", name, "sh", "-c", "tty; read a; exit $a"),
      async (terminal) => {
        await terminal.until("/dev/pts/");
        terminal.type("6\n");
      },
    );
    await way.ok(["top", name, "-o", "pid,args"], {
      shows: /sleep 100\n(.*\n)*.*sleep 99/,
      mask: { "PID ": /\d+ +(?=s)/g },
      unordered: true,
    });
    const stats = (await way.quietly(["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", name]))
      .out;
    way.note("stats", stats.replace(/ .*\//, " used /"), (text) => text === "2 used / 64MiB\n");
    await way.ok(["pause", name]);
    const state = [
      "inspect",
      "--format",
      "{{.State.Status}} {{.State.Paused}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}",
      name,
    ];
    await way.ok(state, { shows: /paused true/ });
    await way.fails(1, exec(name, "true"), { shows: /paused/ });
    await way.ok(["unpause", name]);
    const limits = [
      "--memory",
      "48m",
      "--memory-swap",
      "48m",
      "--cpus",
      "0.7",
      "--pids-limit",
      "20",
      "--cpuset-cpus",
      "0",
    ];
    await way.ok(["update", ...limits, name]);
    const files = "memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpuset/cpuset.cpus pids/pids.max";
    await way.ok(exec(name, "sh", "-c", `cd /sys/fs/cgroup; cat ${files}`), {
      shows: /50331648\n70000\n0\n20/,
    });
    await way.fails(1, ["update", "--memory", "1g", name], { shows: /swap/ });
    await way.ok(["kill", name]);
    await way.ok(["wait", name], { shows: /137/ });
    await way.ok(state, { shows: /exited false 137 false/ });
    await way.ok(["rm", name]);
  });

  compared("every limit, in all files of its cgroup", engine, async (way) => {
    const name = way.name("limits");
    const limits = [...limitFlags(loop, GROUP), "--cpu-rt-period", "0"];
    await way.ok(["run", "--detach", "--name", name, ...limits, "box", "sleep", "100"]);
    const { out } = await way.quietly(["inspect", "--format", "{{.State.Pid}}", name]);
    const note = (when: string, ...lines: string[]) =>
      way.note(when, cgroupFilesOf(Number(out)), (files) => holds(files, ...lines));
    note("at first", ...limitedFiles(loop));
    const changed = ["--memory", "32m", "--memory-swap", "-1", "--cpu-shares", "300", "--cpuset-cpus", "0-1"];
    await way.ok(["update", ...changed, "--pids-limit", "-1", "--cpu-quota", "10000", name]);
    note("updated", "memory/memory.limit_in_bytes 33554432", "pids/pids.max max", "cpu/cpu.shares 300");
    await way.ok(["pause", name]);
    note("paused", "freezer/freezer.state FROZEN");
    await way.ok(["rm", "--force", name]);
  });

  compared("health checks, logs, signals, stop, restart", engine, async (way) => {
    const name = way.name("box");
    const script =
      "trap 'echo told; exit 5' TERM; trap 'echo hup' HUP; echo ready; while :; do sleep 0.1; done";
    const health = ["--health-cmd", "test -e /ok", "--health-interval", "1s", "--health-retries", "1"];
    await way.ok(["run", "--detach", "--tty", "--name", name, ...health, "box", "sh", "-c", script]);
    const shown = (text: string) => untilLogged(way, name, text);
    await until(way, name, "{{.State.Health.Status}}", "unhealthy");
    await way.ok(["exec", name, "touch", "/ok"]);
    await until(way, name, "{{.State.Health.Status}}", "healthy");
    await shown("ready");
    await way.ok(["kill", "--signal", "HUP", name]);
    await shown("hup");
    await way.ok(["stop", "--time", "10", name]);
    const state = ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}", name];
    await way.ok(state, { shows: /exited 5 0/ });
    await way.ok(["start", name]);
    await way.ok(["restart", "--time", "10", name]);
    await shown("told\r\nready\r\nready");
    await way.ok(["kill", name]);
    await way.ok(["wait", name], { shows: /137/ });
    await way.ok(state, { shows: /exited 137/ });
    await way.ok(["logs", name], { shows: /told/ });
    await way.ok(["rm", name]);
  });

  compared("out of memory, and a policy that starts it again", engine, async (way) => {
    const name = way.name("box");
    const eat = ["dd", "if=/dev/zero", "of=/dev/null", "bs=48M", "count=1"];
    await way.fails(137, ["run", "--name", name, "--memory", "16m", "--memory-swap", "16m", "box", ...eat]);
    await until(way, name, "{{.State.OOMKilled}} {{.State.ExitCode}}", "true 137");
    await way.ok(["rm", name]);
    const again = way.name("again");
    await way.ok([
      "run",
      "--detach",
      "--name",
      again,
      "--restart",
      "on-failure:2",
      "box",
      "sh",
      "-c",
      "exit 3",
    ]);
    await until(way, again, "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "2 exited 3");
    await way.ok(["rm", again]);
  });
});

test("all capabilities are those that the host has, where runc refuses a host that has not all", async () => {
  const all = sh("grep CapEff /proc/self/status", "--privileged");
  const { code, out } = await command(docker.line("peer-b", all), docker.options);
  const own = /CapBnd:\t(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  // Docker 20.10 knows them up to CAP_AUDIT_READ, the 38th.
  const known = (BigInt(`0x${own}`) & 0x3fffffffffn).toString(16).padStart(16, "0");
  expect({ code, out }).toEqual({ code: 0, out: `CapEff:\t${known}\n` });
});

comparedCalls(
  () => docker.runtimes,
  ["create", "start", "kill", "delete", "exec", "pause", "resume", "ps", "update"],
);

test("nothing is left: no state, no cgroup", () => {
  const state = join(docker.folder, "exec/runtime-runc/moby");
  expect(existsSync(state) ? readdirSync(state) : []).toEqual([]);
  const cgroups = readdirSync("/sys/fs/cgroup").flatMap((hierarchy) => {
    const parent = join("/sys/fs/cgroup", hierarchy, "docker");
    return existsSync(parent) ? readdirSync(parent).filter((name) => /^[0-9a-f]{64}$/.test(name)) : [];
  });
  expect(cgroups).toEqual([]);
});
