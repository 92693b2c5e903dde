// Podman with ctr-bun as its runtime does what it does with runc: what conmon asks of it (pid files, a console socket,
// exit codes, JSON errors), what podman shows of a container, what a container sees of itself.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CTR_BUN } from "../support/bundle.ts";
import { cgroupFilesOf, holds, removeWhenLeft } from "../support/cgroup-files.ts";
import { LOOK, NAMESPACES } from "../support/container-look.ts";
import { limitedFiles, limitFlags } from "../support/engine-limits.ts";
import { type LoopDevice, makeLoopDevice } from "../support/loop-device.ts";
import { command, compared, comparedCalls, untilLogged } from "../support/two-runtimes.ts";
import { runScenarios } from "./podman-run.ts";
import { type Podman, startPodman } from "./podman-setup.ts";

let podman: Podman;
let loop: LoopDevice;
beforeAll(() => {
  podman = startPodman();
  loop = makeLoopDevice(podman.folder);
});
afterAll(async () => {
  loop?.detach();
  podman.end();
  await removeWhenLeft(GROUP);
});

/** The cgroup that some containers are to be below. */
const GROUP = `ctr-bun-podman-${process.pid}`;

const engine = () => podman;
const RUN = ["run", "--rm", "--network", "none"];
const START = ["run", "--detach", "--network", "none"];

describe("podman run", () => runScenarios(engine));

describe("a container in the background", () => {
  compared("exec", engine, async (way) => {
    const name = way.name("exec");
    await way.ok([...START, "--tty", "--name", name, "box", "sh", "-c", "tty; sleep 100"]);
    const exec = (...args: string[]) => ["exec", ...args];
    await way.fails(3, exec(name, "sh", "-c", "echo inside; echo err >&2; exit 3"), { shows: /inside/ });
    await way.ok(exec("--interactive", name, "cat"), { input: "typed", shows: /typed/ });
    await way.ok(exec("--tty", name, "tty"), { shows: /\/dev\/pts\/1/ });
    await way.ok(
      exec("--user", "demo", "--workdir", "/tmp", "--env", "A=1", name, "sh", "-c", "id; pwd; env"),
    );
    await way.ok(exec("--privileged", name, "sh", "-c", LOOK), { shows: /CapEff:\t000001ff/ });
    await way.ok(exec(name, "sh", "-c", LOOK), { shows: /== kernel/ });
    await way.fails(127, exec(name, "nowhere"), { shows: /executable file not found/ });
    await way.fails(126, exec(name, "/etc"), { shows: /permission denied/ });
    await way.fails(127, exec("--workdir", "/none", name, "pwd"), { shows: /no such file or directory/ });
    await way.ok(exec("--detach", name, "sh", "-c", "echo $$ > /detached; sleep 100"));
    const typed = "stty size; tty; read a; exit $a";
    await way.typed(6, exec("--interactive", "--tty", name, "sh", "-c", typed), async (terminal) => {
      await terminal.until("/dev/pts/1\r\n");
      terminal.type("6\n");
    });
    await way.ok(["logs", name], { shows: /\/dev\/pts\/0/ });
    await way.ok(["top", name, "args"], { shows: /sleep 100 *\n(.*\n)*sleep 100/, unordered: true });
    await way.ok(["top", name, "user,group,capeff,capbnd,seccomp,label,args"], {
      shows: /CHOWN/,
      unordered: true,
    });
    await way.ok(["rm", "--force", "--time", "0", name]);
    await way.fails(125, exec(name, "true"));
  });

  compared("health checks, pause, stats, update", engine, async (way) => {
    const name = way.name("health");
    const health = ["--health-cmd", "test -e /ok", "--health-interval", "disable"];
    await way.ok([...START, "--name", name, ...health, "--memory", "64m", "box", "sleep", "100"]);
    const state = ["inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", name];
    await way.fails(1, ["healthcheck", "run", name], { shows: /unhealthy/ });
    await way.ok(["exec", name, "touch", "/ok"]);
    await way.ok(["healthcheck", "run", name]);
    await way.ok(state, { shows: /running healthy/ });
    await way.ok(["pause", name]);
    await way.ok(state, { shows: /paused/ });
    await way.fails(255, ["exec", name, "true"]);
    await way.ok(["unpause", name]);
    await way.fails(125, ["unpause", name], { shows: /not paused/ });
    await way.ok(["exec", name, "echo", "goes on"], { shows: /goes on/ });
    const stats = await way.quietly(["stats", "--no-stream", "--format", "json", name]);
    const [found] = JSON.parse(stats.out) as Record<string, string>[];
    way.note(
      "stats",
      [Object.keys(found ?? {}), found?.pids, found?.mem_usage?.split("/")[1]],
      () => found?.pids === "1",
    );
    const limits = ["--memory", "32m", "--cpus", "0.3", "--cpu-shares", "300"];
    await way.ok(["update", ...limits, name]);
    const files = "memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares pids/pids.max";
    await way.ok(["exec", name, "sh", "-c", `cd /sys/fs/cgroup; cat ${files}`], {
      shows: /33554432\n30000\n300/,
    });
    await way.ok(["kill", "--signal", "KILL", name]);
    await way.ok(["wait", name], { shows: /137/ });
    await way.ok(["rm", name]);
  });

  compared("every limit, in all files of its cgroup", engine, async (way) => {
    const name = way.name("limits");
    const limits = [...limitFlags(loop, GROUP), "--blkio-weight", "300"];
    await way.ok([...START, "--name", name, ...limits, "box", "sleep", "100"]);
    const { out } = await way.quietly(["inspect", "--format", "{{.State.Pid}}", name]);
    const note = (when: string, ...lines: string[]) =>
      way.note(when, cgroupFilesOf(Number(out)), (files) => holds(files, ...lines));
    note("at first", ...limitedFiles(loop));
    const changed = ["--memory", "32m", "--cpus", "0.3", "--cpu-shares", "300", "--cpuset-cpus", "0-1"];
    await way.ok(["update", ...changed, "--blkio-weight", "200", name]);
    note("updated", "memory/memory.limit_in_bytes 33554432", "blkio/blkio.bfq.weight 200");
    await way.ok(["pause", name]);
    note("paused", "freezer/freezer.state FROZEN");
    await way.ok(["unpause", name]);
    await way.ok(["rm", "--force", "--time", "0", name]);
    const none = ["--memory", "0", "--memory-swap", "-1", "--pids-limit", "-1", "--cpu-shares", "0"];
    await way.ok([...RUN, ...none, "box", "cat", "/sys/fs/cgroup/pids/pids.max"], { shows: /max/ });
  });

  compared("signals, stop, restart", engine, async (way) => {
    const name = way.name("stop");
    const script =
      "trap 'echo told; exit 5' TERM; trap 'echo hup' HUP; echo ready; while :; do sleep 0.1; done";
    await way.ok([...START, "--name", name, "box", "sh", "-c", script]);
    const shown = (text: string) => untilLogged(way, name, text);
    const state = [
      "inspect",
      "--format",
      "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}",
      name,
    ];
    await shown("ready");
    await way.ok(["kill", "--signal", "HUP", name]);
    await shown("hup");
    await way.ok(["stop", "--time", "10", name]);
    await way.ok(state, { shows: /exited 5 false/ });
    await way.fails(125, ["kill", name], { shows: /not running|improper/ });
    await way.ok(["start", name]);
    await way.ok(["restart", "--time", "10", name]);
    await shown("ready\nhup\ntold\nready\nready");
    await way.ok(["kill", name]);
    await way.ok(["wait", name], { shows: /137/ });
    await way.ok(state, { shows: /exited 137/ });
    await way.ok(["logs", name], { shows: /told/ });
    await way.ok(["rm", name]);
    await way.fails(255, [...RUN, "--timeout", "1", "box", "sleep", "100"]);
  });

  compared("a pod shares namespaces", engine, async (way) => {
    const pod = way.name("pod");
    const shared = ["--share", "ipc,net,uts,pid", "--network", "none", "--hostname", "shared"];
    await way.ok([
      "pod",
      "create",
      "--name",
      pod,
      "--infra-image",
      "box",
      "--infra-command",
      "sleep 100",
      ...shared,
    ]);
    const name = way.name("member");
    await way.ok(["run", "--detach", "--pod", pod, "--name", name, "box", "sleep", "99"]);
    const inside = [
      "run",
      "--rm",
      "--pod",
      pod,
      "box",
      "sh",
      "-c",
      `${NAMESPACES}; hostname; ps -o args | grep -v grep | grep sleep`,
    ];
    const one = (await way.quietly(["exec", name, "sh", "-c", NAMESPACES])).out.trim().split("\n");
    const other = (await way.quietly(inside)).out.trim().split("\n");
    const same = one.map((namespace, index) => `${namespace.split(":")[0]} ${namespace === other[index]}`);
    way.note("which are shared", same, () => same.includes("net true") && same.includes("mnt false"));
    way.note(
      "what else is seen",
      other.slice(one.length),
      (seen) => seen.join() === "shared,sleep 100,sleep 99",
    );
    await way.ok(["pod", "pause", pod]);
    await way.ok(["pod", "unpause", pod]);
    await way.ok(
      ["pod", "ps", "--format", "{{.Status}} {{.NumberOfContainers}}", "--filter", `name=${pod}`],
      { shows: /Running 2/ },
    );
    // Its members end with the namespace of processes, which may be before podman has come to them.
    await way.quietly(["pod", "stop", "--time", "0", pod]);
    await way.ok(["pod", "ps", "--format", "{{.Status}}", "--filter", `name=${pod}`], { shows: /Exited/ });
    await way.ok(["pod", "rm", "--force", pod]);
  });
});

comparedCalls(
  () => podman.runtimes,
  ["create", "start", "kill", "delete", "exec", "pause", "resume", "update"],
);

test("a runtime that podman does not know by name, but by path", async () => {
  const words = [...RUN, "box", "nowhere"];
  const { code, err } = await command(
    podman.line("peer-a", words).map((word) => (word === "peer-a" ? CTR_BUN : word)),
    podman.options,
  );
  expect(code).toBe(127);
  expect(err).toContain("executable file not found in $PATH");
});

test("nothing is left: no state, no cgroup", () => {
  expect(podman.left()).toEqual([]);
});
