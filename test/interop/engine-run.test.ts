// `run` of an image as a person types it: what the program sees, what is left, and the exit codes.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newWorld, until, type World } from "./engine-setup.ts";

let world: World;
beforeAll(async () => {
  world = await newWorld();
});
afterAll(async () => {
  await world.end();
});

const nothing = { mounts: [], processes: [], directories: [], states: [] };

describe("run", () => {
  test("pulls the image and runs its command", async () => {
    const first = await world.ctr("run", "--rm", world.full);
    expect(first.stdout).toBe("default command\n");
    expect(first.stderr).toEndWith("entrypoint: sh -c echo default command\n");
    expect(first.code).toBe(0);
    const again = await world.ctr("run", "--rm", "--pull", "never", world.full, "echo", "mine", "-l");
    expect(again).toEqual({ code: 0, stdout: "mine -l\n", stderr: "entrypoint: echo mine -l\n" });
  });

  test("ends with the program's code, 128 + N for a signal, 127 and 126 where it could not be started", async () => {
    expect((await world.sh([], "exit 7")).code).toBe(7);
    expect((await world.sh(["--security-opt", "no-new-privileges", "--init"], "kill -9 $$")).code).toBe(137);
    const missing = await world.ctr("run", "--rm", world.plain, "nosuch");
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain("nosuch");
    const directory = await world.ctr("run", "--rm", world.plain, "/etc/passwd");
    expect(directory.code).toBe(126);
    expect((await world.ctr("run", "--nosuchflag", world.plain)).code).toBe(125);
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("passes standard input with -i only", async () => {
    const args = ["run", "--rm", "--quiet", world.plain, "cat"];
    expect(await world.call(args, { input: "hello" })).toMatchObject({ code: 0, stdout: "" });
    const withInput = ["run", "--rm", "--quiet", "-i", world.plain, "cat"];
    expect(await world.call(withInput, { input: "hello" })).toMatchObject({ code: 0, stdout: "hello" });
  });

  test("keeps standard output and error apart, and all bytes", async () => {
    const { stdout, stderr } = await world.sh([], "head -c 3000000 /dev/zero; echo error >&2");
    expect(stdout.length).toBe(3000000);
    expect(stderr).toBe("error\n");
  });

  test("passes SIGTERM on", async () => {
    const child = world.start(
      "run",
      "--rm",
      "--quiet",
      world.plain,
      "sh",
      "-c",
      "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.1; done",
    );
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGTERM");
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("got\n");
    expect(await child.exited).toBe(5);
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("refuses what does not exist yet, and says why", async () => {
    const cases: [string[], string][] = [
      [["-d"], "monitor"],
      [["-p", "80:80"], "bridges"],
      [["-v", "data:/x"], "named volumes"],
      [["--network", "bridge"], "bridge"],
      [["-it"], "not a TTY"],
    ];
    for (const [flags, words] of cases) {
      const { code, stderr } = await world.ctr("run", ...flags, world.plain, "true");
      expect([code, stderr.split("\n").length - 1]).toEqual([125, 2]);
      expect(stderr).toContain(words);
    }
  });
});

describe("a container without --rm", () => {
  test("stays until rm, with how it ended", async () => {
    expect(
      (await world.ctr("run", "--name", "kept", "--label", "a=b", world.plain, "sh", "-c", "exit 3")).code,
    ).toBe(3);
    expect((await world.ctr("ps", "-q")).stdout).toBe("");
    const { stdout } = await world.ctr(
      "ps",
      "-a",
      "--format",
      "{{.Names}} {{.State}} {{.Status}} {{.Labels}}",
    );
    expect(stdout).toMatch(/^kept exited Exited \(3\) .* ago a=b\n$/);
    const [inspected] = JSON.parse((await world.ctr("inspect", "kept")).stdout);
    expect(inspected).toMatchObject({
      Name: "/kept",
      Path: "sh",
      Args: ["-c", "exit 3"],
      State: { Status: "exited", ExitCode: 3, Running: false, OOMKilled: false, Pid: 0 },
      Config: { Labels: { a: "b" }, Image: world.plain },
    });
    const taken = await world.ctr("run", "--name", "kept", world.plain);
    expect([taken.code, taken.stderr]).toEqual([125, expect.stringContaining(inspected.Id.slice(0, 12))]);
    expect(await world.ctr("rm", inspected.Id.slice(0, 4))).toMatchObject({ code: 0 });
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("can be looked into, killed and removed while it runs", async () => {
    const child = world.start("run", "--name", "alive", "--user", "demo", world.full, "sleep", "100");
    await until(async () => (await world.ctr("ps", "-q")).stdout !== "");
    expect((await world.ctr("exec", "alive", "id", "-un")).stdout).toBe("demo\n");
    expect(
      (
        await world.ctr(
          "exec",
          "-u",
          "0",
          "-w",
          "/etc",
          "-e",
          "X=1",
          "alive",
          "sh",
          "-c",
          "id -u; pwd; echo $X $HOME",
        )
      ).stdout,
    ).toBe("0\n/etc\n1 /root\n");
    expect((await world.ctr("exec", "alive", "nosuch")).code).toBe(127);
    expect((await world.ctr("exec", "alive", "sh", "-c", "exit 9")).code).toBe(9);
    expect(await world.call(["exec", "-i", "alive", "cat"], { input: "in" })).toMatchObject({ stdout: "in" });
    const refused = await world.ctr("rm", "alive");
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("rm -f alive")]);
    const pid = Number((await world.ctr("inspect", "-f", "{{.State.Pid}}", "alive")).stdout);
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toContain("sleep");
    expect(await world.ctr("kill", "-s", "KILL", "alive")).toMatchObject({ code: 0, stdout: "alive\n" });
    expect(await child.exited).toBe(137);
    expect((await world.ctr("kill", "alive")).stderr).toContain("not running");
    expect((await world.ctr("exec", "alive", "true")).stderr).toContain("not running");
    expect((await world.ctr("rm", "alive")).stdout).toBe("alive\n");
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("is removed by rm -f while it runs, and its run ends with 137", async () => {
    const child = world.start("run", "--name", "forced", world.plain, "sleep", "100");
    await until(async () => (await world.ctr("ps", "-q")).stdout !== "");
    expect((await world.ctr("rm", "-f", "forced")).stdout).toBe("forced\n");
    expect(await child.exited).toBe(137);
    expect(world.leftovers()).toMatchObject(nothing);
    expect((await world.ctr("rm", "-f", "forced")).code).toBe(0);
    expect(await world.ctr("rm", "forced")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("No such container: forced"),
    });
  });
});

describe("flags, seen from inside", () => {
  const out = async (flags: string[], script: string): Promise<string> => {
    const { code, stdout, stderr } = await world.sh(flags, script);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout;
  };

  test("-e and --env-file", async () => {
    writeFileSync(join(world.scratch, "env"), "# c\nA=from file\nB=2\n");
    expect(
      await out(
        ["--env-file", "env", "-e", "B=3", "-e", "C"],
        'echo "$A,$B,$C,$HOME,$HOSTNAME" | sed "s/,[0-9a-f]\\{12\\}$/,ID/"',
      ),
    ).toBe("from file,3,,/root,ID\n");
  });

  test("-v, ro, relative, and --mount", async () => {
    mkdirSync(join(world.scratch, "dir"), { recursive: true });
    writeFileSync(join(world.scratch, "dir/file"), "on the host");
    const script = "cat /a/file /b/file; touch /a/new; touch /b/new 2>/dev/null || echo ' read-only'";
    expect(
      await out(["-v", "./dir:/a", "--mount", "type=bind,source=./dir,target=/b,readonly"], script),
    ).toBe("on the hoston the host read-only\n");
    expect(readFileSync(join(world.scratch, "dir/new"), "utf8")).toBe("");
    expect(await out(["-v", `${world.scratch}/dir/file:/f:ro`], "cat /f")).toBe("on the host");
  });

  test("--tmpfs and --mount type=tmpfs", async () => {
    expect(
      await out(
        ["--tmpfs", "/t:size=1m", "--mount", "type=tmpfs,target=/u,tmpfs-mode=700"],
        "grep ' /[tu] ' /proc/mounts | cut -d' ' -f2-4 | sort; stat -c %a /u",
      ),
    ).toMatch(
      /^\/t tmpfs rw,nosuid,nodev,noexec,[^\n]*size=1024k.*\n\/u tmpfs rw,nosuid,nodev,noexec,.*\n700\n$/,
    );
  });

  test("image volumes are copied up, writable, and gone with --rm", async () => {
    const { stdout } = await world.ctr(
      "run",
      "--rm",
      world.full,
      "sh",
      "-c",
      "cat /data/kept; echo x >/data/kept; cat /data/kept; grep -c ' /data ' /proc/mounts",
    );
    expect(stdout).toBe("from the image\nx\n1\n");
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("-w makes the directory, -u finds users and groups", async () => {
    expect(await out(["-w", "/made/here"], "pwd; stat -c %u:%a .")).toBe("/made/here\n0:755\n");
    expect(await out(["-u", "demo"], "id; echo $HOME")).toBe(
      "uid=1000(demo) gid=1000(demo) groups=10(wheel),1000(demo)\n/home/demo\n",
    );
    expect(await out(["-u", "4242:4343"], "id -u; id -g; id -G")).toBe("4242\n4343\n4343\n");
  });

  test("--entrypoint, --hostname, --add-host, --dns", async () => {
    const { stdout } = await world.ctr("run", "--rm", "--entrypoint", "/bin/echo", world.full, "mine");
    expect(stdout).toBe("mine\n");
    const script =
      "hostname; cat /etc/hostname; grep db /etc/hosts; grep -c box /etc/hosts; grep 9.9.9.9 /etc/resolv.conf";
    expect(await out(["--hostname", "box", "--add-host", "db:10.0.0.7", "--dns", "9.9.9.9"], script)).toBe(
      "box\nbox\n10.0.0.7\tdb\n1\nnameserver 9.9.9.9\n",
    );
  });

  test("--cap-add, --cap-drop, --privileged", async () => {
    const caps = "grep -E 'Cap(Inh|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | tr '\\n' ' '";
    expect(await out([], caps)).toBe("0000000000000000 00000000a80425fb 00000000a80425fb 0000000000000000 ");
    expect(await out(["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], caps)).toBe(
      "0000000000000000 0000000000001000 0000000000001000 0000000000000000 ",
    );
    expect(await out(["-u", "1000"], caps)).toBe(
      "0000000000000000 0000000000000000 00000000a80425fb 0000000000000000 ",
    );
    const host = /CapBnd:\s*(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    const privileged = await out(
      ["--privileged"],
      `${caps}; ls /dev | wc -l; test -w /proc/sys/kernel/hostname && echo rw`,
    );
    expect(privileged).toStartWith(`0000000000000000 ${host} ${host} 0000000000000000 `);
    expect(privileged).toEndWith("rw\n");
  });

  test("--read-only, --security-opt, --ulimit", async () => {
    expect((await world.sh(["--read-only"], "touch /x")).stderr).toContain("Read-only file system");
    const status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f2 | tr '\\n' ' '";
    expect(await out([], status)).toBe("0 2 ");
    expect(
      await out(["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"], status),
    ).toBe("1 0 ");
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 30 }],
    };
    writeFileSync(join(world.scratch, "profile.json"), JSON.stringify(profile));
    expect((await world.sh(["--security-opt", "seccomp=profile.json"], "mkdir /x")).stderr).toContain(
      "Read-only file system",
    );
    expect(
      await out(["--ulimit", "nofile=100:200", "--ulimit", "core=0"], "ulimit -Sn; ulimit -Hn; ulimit -c"),
    ).toBe("100\n200\n0\n");
  });

  test("--network none, host and container:NAME", async () => {
    expect(await out([], "ls /sys/class/net | tr '\\n' ' '; cat /sys/class/net/lo/carrier")).toBe("lo 1\n");
    const hostLinks = await out(["--network", "host"], "readlink /proc/self/ns/net");
    expect(hostLinks.trim()).toBe(Bun.spawnSync(["readlink", "/proc/self/ns/net"]).stdout.toString().trim());
    const child = world.start(
      "run",
      "--rm",
      "--name",
      "first",
      "--hostname",
      "shared",
      world.plain,
      "sleep",
      "100",
    );
    await until(async () => (await world.ctr("ps", "-q")).stdout !== "");
    const own = (await world.ctr("exec", "first", "readlink", "/proc/self/ns/net")).stdout;
    expect(
      await out(
        ["--network", "container:first"],
        "readlink /proc/self/ns/net; hostname; grep -c shared /etc/hosts",
      ),
    ).toBe(`${own}shared\n1\n`);
    await world.ctr("kill", "first");
    await child.exited;
    expect((await world.sh(["--network", "container:first"], "true")).stderr).toContain(
      "No such container: first",
    );
  });

  test("--memory, --cpus, --pids-limit", async () => {
    const limits =
      "f() { cat /sys/fs/cgroup/$1 2>/dev/null; }; f memory/memory.limit_in_bytes || f memory.max; f cpu/cpu.cfs_quota_us || f cpu.max; f pids/pids.max || f pids.max";
    expect(await out(["--memory", "64m", "--cpus", "0.5", "--pids-limit", "20"], limits)).toMatch(
      /^67108864\n50000.*\n20\n$/,
    );
    const killed = await world.sh(
      ["--memory", "16m", "--memory-swap", "16m"],
      "exec tail -c 100000000 /dev/zero",
    );
    expect(killed.code).toBe(137);
    expect(
      (await world.sh(["--pids-limit", "5"], "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait")).stderr,
    ).toContain("fork");
  }, 30_000);

  test("--device", async () => {
    const script = "test -c /dev/mine && dd if=/dev/mine bs=1 count=1 2>/dev/null | wc -c";
    expect(await out(["--device", "/dev/urandom:/dev/mine:r"], script)).toBe("1\n");
    expect((await world.sh(["--device", "/dev/nosuch"], "true")).stderr).toContain(
      "/dev/nosuch is not there",
    );
  });

  test("--init reaps, forwards and ends with the program's code", async () => {
    expect(
      await out(
        ["--init"],
        "test $$ != 1 && echo not first; (sleep 0.1 &) ; sleep 0.5; ls -d /proc/[0-9]* | wc -l",
      ),
    ).toMatch(/^not first\n[3-5]\n$/);
    expect((await world.sh(["--init"], "exit 6")).code).toBe(6);
  });

  test("--cidfile, --stop-signal, --label, --platform", async () => {
    const file = join(world.scratch, "cid");
    await world.ctr("run", "--name", "noted", "--cidfile", file, "--stop-signal", "QUIT", world.full, "true");
    const id = readFileSync(file, "utf8");
    const [inspected] = JSON.parse((await world.ctr("inspect", "noted")).stdout);
    expect([inspected.Id, inspected.Config.StopSignal, inspected.Config.Labels]).toEqual([
      id,
      "QUIT",
      { flavour: "busybox" },
    ]);
    const second = await world.ctr("run", "--cidfile", file, world.plain, "true");
    expect([second.code, second.stderr]).toEqual([125, expect.stringContaining("--cidfile")]);
    await world.ctr("rm", "noted");
    const other = await world.ctr("run", "--rm", "--platform", "linux/s390x", world.plain);
    expect([other.code, other.stderr]).toEqual([125, expect.stringContaining("s390x")]);
  });
});

test("nothing of ctr-bun is to be seen from inside", async () => {
  const { stdout } = await world.sh(
    [],
    "readlink /proc/1/exe; ls -l /proc/self/fd | grep -c -v -E 'pipe|/dev/null|/proc|total'; cat /proc/1/maps",
  );
  expect(stdout).not.toContain("ctr-bun");
  expect(stdout.split("\n")[0]).toBe("/bin/busybox");
});

test("an image's VOLUME and WORKDIR lead nowhere outside", async () => {
  for (const workdir of ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/root"]) {
    const { code, stdout } = await world.sh(["-w", workdir], "pwd -P; ls ../../../../etc/passwd");
    expect(code === 0 ? stdout : "refused").not.toContain("/home");
  }
  expect(world.leftovers()).toMatchObject(nothing);
});
