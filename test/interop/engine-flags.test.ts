// The flags of `run`, each tried for real and seen from inside the container.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { newWorld, type World } from "./engine-setup.ts";

let world: World;
beforeAll(async () => {
  world = await newWorld();
});
afterAll(async () => {
  await world.end();
});

const nothing = { mounts: [], processes: [], directories: [], states: [] };

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
    const script = `${caps}; ls /dev | wc -l; test -w /proc/sys/kernel/hostname && echo rw`;
    const { stdout: privileged, stderr } = await world.sh(["--privileged"], script);
    // Of the capabilities that this host itself lacks.
    expect(stderr).toMatch(/^(ctr-bun: warning: --privileged: this host does not have, .*\n)?$/);
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
