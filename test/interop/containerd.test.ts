// containerd with ctr-bun as its runtime does what it does with runc: what its shim asks of it (pid files, console
// sockets, a log in JSON, ps, pause, exec of a whole process), and what ctr shows. Its updates are docker.test.ts's, as
// ctr has no command for them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../support/bundle.ts";
import { cgroupFilesOf, holds } from "../support/cgroup-files.ts";
import { LOOK, NAMESPACES } from "../support/container-look.ts";
import { type Daemon, startDaemon, TOOLS_PATH } from "../support/daemon.ts";
import { imagePath } from "../support/images.ts";
import {
  compared,
  comparedCalls,
  type Engine,
  makeRuntimes,
  type Runtimes,
  TYPED_SCRIPT,
  typeOnTerminal,
  typeUntil,
  type Way,
} from "../support/two-runtimes.ts";

/** All the plug-ins that look for something on the host, or make something outside of the folder. */
const CONFIG = (folder: string) => `
version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = [${["grpc.v1.cri", "internal.v1.opt", "snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.aufs", "snapshotter.v1.devmapper"].map((name) => `"io.containerd.${name}"`).join(", ")}]
[grpc]
address = "${folder}/socket"
[debug]
level = "debug"
`;
const IMAGE = "box:plain";

let daemon: Daemon;
let runtimes: Runtimes;
let ctr: Engine;
beforeAll(async () => {
  const call = (folder: string, ...args: string[]) => ["ctr", "--address", join(folder, "socket"), ...args];
  daemon = await startDaemon("containerd", {
    prepare: (folder) => writeFileSync(join(folder, "config.toml"), CONFIG(folder)),
    line: (folder) => ["containerd", "--config", join(folder, "config.toml")],
    serves: (folder) => call(folder, "version"),
    // Where its shims have their sockets, and ctr its FIFOs, whatever the config says.
    outside: ["/run/containerd"],
    cgroups: ["default", "ctr-bun-interop"],
  });
  runtimes = makeRuntimes(daemon.folder);
  ctr = {
    options: { env: { PATH: TOOLS_PATH }, cwd: daemon.folder },
    line(name, args) {
      const [verb = "", ...rest] = args;
      const runtime =
        verb === "run"
          ? [
              "--runc-binary",
              runtimes.path[name],
              "--runc-root",
              join(daemon.folder, `root-${name}`),
              "--fifo-dir",
              daemon.folder,
            ]
          : [];
      return [...call(daemon.folder), verb, ...runtime, ...rest];
    },
  };
  const archive = join(daemon.folder, "image.tar");
  for (const line of [
    ["tar", "-C", imagePath("busybox"), "-cf", archive, "."],
    call(daemon.folder, "image", "import", "--base-name", "box", archive),
  ]) {
    const { code, err } = runCommand(line, { env: { PATH: TOOLS_PATH } });
    if (code !== 0) throw new Error(`${line.join(" ")}: ${err}`);
  }
});
afterAll(() => daemon.end());

const engine = () => ctr;
/** `run --rm` of a container with a name of its own. */
const run = (way: Way, flags: string[], ...command: string[]) => [
  ...["run", "--rm", ...flags, IMAGE],
  way.name("c"),
  ...command,
];
const sh = (way: Way, script: string, ...flags: string[]) => run(way, flags, "sh", "-c", script);
const task = (...args: string[]) => ["tasks", ...args];

/** Waits until the task has a state. */
async function until(way: Way, name: string, state: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const lines = (await way.quietly(task("list"))).out.split("\n");
    if (lines.some((line) => line.startsWith(`${name} `) && line.includes(state))) return;
    await Bun.sleep(50);
  }
}

/** Numbers of processes, and the width that they take. */
const mask = { " PID ": /^\d+ +/gm };

describe("ctr run", () => {
  compared("passes output and exit codes on", engine, async (way) => {
    await way.fails(7, sh(way, "echo out; echo err >&2; exit 7"), { shows: /out/ });
  });

  compared("a program that is not there, or is none", engine, async (way) => {
    await way.fails(1, run(way, [], "nowhere"), { shows: /executable file not found in \$PATH/ });
    await way.fails(1, run(way, [], "/nowhere"), { shows: /no such file or directory/ });
    await way.fails(1, run(way, [], "/etc/passwd"), { shows: /permission denied/ });
    await way.fails(1, run(way, [], "/etc"), { shows: /permission denied/ });
  });

  compared("a container sees the same of itself", engine, async (way) => {
    await way.ok(sh(way, LOOK), { shows: /== kernel/ });
    await way.ok(sh(way, LOOK, "--privileged"), { shows: /CapEff:\t000001ff/ });
    await way.ok(sh(way, LOOK, "--read-only", "--seccomp", "--cap-drop", "CAP_CHOWN"), {
      shows: /Seccomp:\t2/,
    });
    await way.ok(sh(way, LOOK, "--net-host", "--no-pivot", "--cwd", "/new"), { shows: /\/new/ });
    const maps = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];
    await way.ok(sh(way, LOOK, ...maps), { shows: /uid_map 0 100000 65536/ });
    await way.ok(sh(way, LOOK, "--allow-new-privs", "--cap-add", "CAP_NET_ADMIN"), {
      shows: /NoNewPrivs:\t0/,
    });
  });

  compared("mounts, devices, limits, namespaces", engine, async (way) => {
    const bind = ["--mount", "type=bind,src=/etc,dst=/mnt,options=rbind:ro"];
    await way.fails(1, sh(way, "touch /x /mnt/x", "--read-only", ...bind), { shows: /Read-only/ });
    await way.fails(1, sh(way, "stat -c '%a %t:%T' /dev/fuse; cat /dev/fuse", "--device", "/dev/fuse"), {
      shows: /a:e5/,
    });
    const eat = ["dd", "if=/dev/zero", "of=/dev/null", "bs=48M", "count=1"];
    await way.fails(137, run(way, ["--memory-limit", "16000000"], ...eat));
    const cgroup = `/ctr-bun-interop/${way.name("c")}`;
    // The spec of ctr mounts no cgroups.
    const look = "cut -d: -f3 /proc/self/cgroup | sort -u";
    await way.ok(sh(way, look, "--cgroup", cgroup, "--cpus", "0.5"), { shows: /ctr-bun-interop/ });
    const outer = (kind: string) => [
      "--with-ns",
      `${kind}:/proc/self/ns/${kind === "network" ? "net" : kind}`,
    ];
    await way.ok(
      sh(way, "for n in uts ipc; do readlink /proc/self/ns/$n; done", ...outer("uts"), ...outer("ipc")),
      {
        mask: { NAMESPACE: /\[\d+\]/g },
      },
    );
    await way.fails(1, sh(way, "true", "--mount", "type=bind,src=/etc/passwd,dst=/tmp,options=bind"), {
      shows: /not a directory/,
    });
  });

  compared("a terminal", engine, async (way) => {
    await way.typed(5, sh(way, TYPED_SCRIPT, "--tty"), typeOnTerminal);
  });
});

describe("a task in the background", () => {
  compared("exec, ps, metrics, pause, resume, kill", engine, async (way) => {
    const name = way.name("task");
    const exec = (id: string, ...args: string[]) => task("exec", "--exec-id", way.name(id), ...args);
    const limits = ["--memory-limit", "64000000", "--cpu-quota", "25000", "--cpu-period", "50000"];
    await way.ok(["run", "--detach", ...limits, IMAGE, name, "sleep", "100"]);
    const pid = Number((await way.quietly(task("list"))).out.match(new RegExp(`^${name} +(\\d+)`, "m"))?.[1]);
    way.note("all files of its cgroup", cgroupFilesOf(pid), (files) =>
      holds(files, "memory/memory.limit_in_bytes 64000000", "cpu/cpu.cfs_quota_us 25000"),
    );
    const list = async () => {
      const { out } = await way.quietly(task("list"));
      return out
        .split("\n")
        .filter((line) => line.includes(name))
        .map((line) => line.trim().split(/ +/).at(-1))
        .join();
    };
    way.note("running", await list(), (state) => state === "RUNNING");
    await way.ok(task("ps", name), { mask, shows: /PID/ });
    const { out } = await way.quietly(task("metrics", "--format", "json", name));
    const metrics = JSON.parse(out) as { memory: { usage: { limit: number } }; pids: { current: number } };
    way.note(
      "metrics",
      [Object.keys(metrics).sort(), metrics.pids, metrics.memory.usage.limit],
      () => metrics.pids.current === 1,
    );
    await way.ok(task("pause", name));
    way.note("paused", await list(), (state) => state === "PAUSED");
    await way.fails(1, exec("e1", name, "true"), { shows: /paused/ });
    await way.fails(1, task("pause", name));
    await way.ok(task("resume", name));
    way.note("resumed", await list(), (state) => state === "RUNNING");
    await way.fails(3, exec("e2", name, "sh", "-c", "echo in; exit 3"), { shows: /in/ });
    await way.fails(1, exec("e3", name, "nowhere"), { shows: /executable file not found/ });
    await way.fails(1, exec("e4", "--cwd", "/none", name, "pwd"), { shows: /no such file or directory/ });
    await way.ok(exec("e5", "--user", "1000", "--cwd", "/tmp", name, "sh", "-c", LOOK), {
      shows: /uid=1000/,
    });
    await way.ok(exec("e6", "--fifo-dir", daemon.folder, "--detach", name, "sleep", "50"));
    await way.ok(task("ps", name), { mask, shows: /e6/, unordered: true });
    await way.typed(6, exec("e7", "--tty", name, "sh", "-c", "tty; read a; exit $a"), async (terminal) => {
      await terminal.until("/dev/pts/");
      terminal.type("6\n");
    });
    const inside = (await way.quietly(exec("e8", name, "sh", "-c", NAMESPACES))).out.match(/mnt:.*/)?.[0];
    way.note(
      "namespaces of exec",
      inside === (await way.quietly(exec("e9", name, "readlink", "/proc/1/ns/mnt"))).out.trim(),
      (same) => same,
    );
    await way.ok(task("kill", "--exec-id", way.name("e6"), "--signal", "KILL", name));
    await way.fails(1, task("delete", name), { shows: /must be stopped/ });
    await way.ok(task("kill", name));
    await way.ok(task("kill", "--signal", "SIGKILL", name));
    await until(way, name, "STOPPED");
    way.note("stopped", await list(), (state) => state === "STOPPED");
    await way.ok(task("delete", name), { shows: /exit code 137/ });
    await way.ok(["containers", "delete", name]);
  });

  compared("a terminal that is attached to later", engine, async (way) => {
    const name = way.name("all");
    const script = "while read a; do echo got $a; [ $a = end ] && exit 9; done";
    await way.typed(0, ["run", "--detach", "--tty", IMAGE, name, "sh", "-c", script], async () => undefined);
    await way.typed(9, task("attach", name), async (terminal) => {
      await typeUntil(terminal, "word\n", "got word");
      terminal.type("end\n");
    });
    // Which has deleted the task.
    await way.ok(["containers", "delete", name]);
  });
});

comparedCalls(() => runtimes, ["create", "start", "kill", "delete", "exec", "pause", "resume", "ps"]);

test("nothing is left: no state, no cgroup, no shim", () => {
  for (const name of ["peer-a", "peer-b"]) {
    const state = join(daemon.folder, `root-${name}`, "default");
    expect(existsSync(state) ? readdirSync(state) : []).toEqual([]);
  }
  const shims = readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const { out } = runCommand([
      "sh",
      "-c",
      `tr '\\0' ' ' < /proc/${pid}/cmdline 2>/dev/null | grep -c 'containerd-shim.*${daemon.folder}'`,
    ]);
    return out.trim() !== "0" && out.trim() !== "";
  });
  expect(shims).toEqual([]);
});
