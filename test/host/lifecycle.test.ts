// The OCI verbs on the real kernel, as an engine calls them: states, exit codes, errors, and that nothing is left.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";

type Change = Parameters<Bundle["run"]>[1];

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

function left(): string[] {
  return existsSync(bundle.state) ? readdirSync(bundle.state) : [];
}

describe("run", () => {
  test("ends with the program's code and passes its output on", () => {
    const { code, out, err } = bundle.run(["sh", "-c", "echo hello; echo oops >&2; exit 7"]);
    expect({ code, out, err }).toEqual({ code: 7, out: "hello\n", err: "oops\n" });
    expect(left()).toEqual([]);
  });

  test("ends with 128 and the signal's number", () => {
    // PID 1 of a pid namespace gets no signal from inside that it does not handle.
    const hostPids: Change = ({ linux }) => {
      linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
    };
    expect(bundle.run(["sh", "-c", "kill -TERM $$; sleep 5"], hostPids).code).toBe(143);
    expect(bundle.run(["sh", "-c", "kill -KILL $$; sleep 5"], hostPids).code).toBe(137);
  });

  test("passes signals on", async () => {
    bundle.configure([
      "sh",
      "-c",
      "trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.05; done",
    ]);
    const child = Bun.spawn([CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, freshID()], {
      stdin: "ignore",
      stdout: "pipe",
    });
    const reader = child.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("ready\n");
    child.kill("SIGUSR1");
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("got it\n");
    expect(await child.exited).toBe(5);
  });

  test("says in runc's words that a program is not there, or is none", () => {
    const missing = bundle.run(["nope"]);
    expect(missing.code).toBe(127);
    expect(missing.err).toContain('process.args[0]: exec: "nope": executable file not found in $PATH');
    const path = bundle.run(["/bin/nope"]);
    expect(path.code).toBe(127);
    expect(path.err).toContain('exec: "/bin/nope": stat /bin/nope: no such file or directory');
    const folder = bundle.run(["/etc"]);
    expect(folder.code).toBe(126);
    expect(folder.err).toContain('exec: "/etc": permission denied');
    expect(left()).toEqual([]);
  });

  test("a bad config is refused with its path, and nothing is made", () => {
    const bad = bundle.run(["true"], (config) => {
      config.mounts.push({ destination: "/x", type: "bind", source: "/nowhere", options: ["rbind"] });
    });
    expect(bad.code).toBe(1);
    expect(bad.err).toContain(
      "mounts[7].source: the source of the bind mount does not exist (statx /nowhere: ENOENT)",
    );
    const type = bundle.run(["true"], (config) => {
      config.hostname = 5 as unknown as string;
    });
    expect(type.err).toContain("hostname: ");
    expect(left()).toEqual([]);
  });
});

describe("create, start, kill, delete", () => {
  test("go through the states of the specification", async () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    const pidFile = join(bundle.path, "pid");
    expect(bundle.ctr("create", "--bundle", bundle.path, "--pid-file", pidFile, id).code).toBe(0);
    const created = JSON.parse(bundle.ctr("state", id).out);
    expect(created).toMatchObject({
      id,
      status: "created",
      bundle: bundle.path,
      rootfs: bundle.rootfs,
      owner: "root",
    });
    expect(readFileSync(pidFile, "utf8")).toBe(`${created.pid}`);
    expect(bundle.ctr("list", "-q").out).toBe(`${id}\n`);
    expect(bundle.ctr("create", "--bundle", bundle.path, id).err).toContain(
      "container with given ID already exists",
    );
    expect(bundle.ctr("start", id).code).toBe(0);
    expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("running");
    expect(bundle.ctr("start", id).err).toContain("cannot start an already running container");
    expect(bundle.ctr("delete", id).err).toContain("that is not stopped");
    expect(bundle.ctr("kill", id, "SIGKILL").code).toBe(0);
    for (
      let tries = 0;
      tries < 100 && JSON.parse(bundle.ctr("state", id).out).status !== "stopped";
      tries++
    ) {
      await Bun.sleep(20);
    }
    expect(JSON.parse(bundle.ctr("state", id).out)).toMatchObject({ status: "stopped", pid: 0 });
    expect(bundle.ctr("kill", id).err).toContain("container not running");
    expect(bundle.ctr("delete", id).code).toBe(0);
    expect(bundle.ctr("state", id).err).toContain("container does not exist");
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
    expect(left()).toEqual([]);
  });

  test("create already says that a program is not there", () => {
    bundle.configure(["nope"]);
    const { code, err } = bundle.ctr("create", "--bundle", bundle.path, freshID());
    expect(code).toBe(127);
    expect(err).toContain("executable file not found in $PATH");
    expect(left()).toEqual([]);
  });

  test("create already says that a limit cannot be raised, however few descriptors it leaves", () => {
    bundle.configure(["true"], (config) => {
      config.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 7, hard: 2 ** 40 }];
    });
    const { code, err } = bundle.ctr("create", "--bundle", bundle.path, freshID());
    expect(code).toBe(1);
    expect(err).toContain("process.rlimits[0]: cannot set RLIMIT_NOFILE to 7, at most 1099511627776");
    expect(left()).toEqual([]);
  });

  test("a file that is bound onto a directory is told in the words of mount(2)", () => {
    const { code, err } = bundle.run(["true"], (config) => {
      config.mounts.push({ destination: "/tmp", type: "bind", source: "/etc/passwd", options: ["bind"] });
    });
    expect(code).toBe(1);
    expect(err).toContain("cannot bind /etc/passwd at /tmp: not a directory (move_mount /tmp: EINVAL)");
    expect(left()).toEqual([]);
  });

  test("the init that waits for start is closed to what exec runs, and an empty signal is TERM", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
    try {
      expect(bundle.ctr("exec", id, "readlink", "/proc/self/exe").out).toBe("/bin/busybox\n");
      expect(bundle.ctr("exec", id, "readlink", "/proc/1/exe").code).toBe(1);
      expect(bundle.ctr("start", id).code).toBe(0);
      expect(bundle.ctr("exec", id, "readlink", "/proc/1/exe").out).toBe("/bin/busybox\n");
      expect(bundle.ctr("kill", id, "").code).toBe(0);
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("a created container is deleted with force, and without", () => {
    for (const flags of [[], ["--force"]]) {
      const id = freshID();
      bundle.configure(["sleep", "100"]);
      expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
      expect(bundle.ctr("delete", ...flags, id).code).toBe(0);
    }
    expect(left()).toEqual([]);
  });

  test("an init that is killed before start makes start fail", async () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    bundle.ctr("create", "--bundle", bundle.path, id);
    process.kill(JSON.parse(bundle.ctr("state", id).out).pid, "SIGKILL");
    await Bun.sleep(100);
    const { code, err } = bundle.ctr("start", id);
    expect(code).toBe(1);
    expect(err).toContain("cannot start a container that has stopped");
    expect(bundle.ctr("delete", id).code).toBe(0);
  });
});

describe("exec", () => {
  test("runs beside the program, with its own user, directory and environment", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    try {
      const ps = bundle.ctr("exec", id, "ps");
      expect(ps.out).toContain("sleep 100");
      const who = bundle.ctr(
        "exec",
        "--user",
        "1000:2000",
        "-g",
        "3000",
        "--cwd",
        "/tmp",
        "-e",
        "A=b c",
        id,
        "sh",
        "-c",
        "id; pwd; echo $A",
      );
      expect(who.out).toBe("uid=1000 gid=2000 groups=3000\n/tmp\nb c\n");
      expect(bundle.ctr("exec", id, "sh", "-c", "exit 9").code).toBe(9);
      const missing = bundle.ctr("exec", id, "nope");
      expect(missing.code).toBe(127);
      expect(missing.err).toContain('exec: "nope": executable file not found in $PATH');
      for (const user of ["0x1", "1:", ":1", "-1", "4294967295", "1 "]) {
        expect(bundle.ctr("exec", "--user", user, id, "true").code).not.toBe(0);
      }
      // The same cgroups as the program.
      expect(bundle.ctr("exec", id, "cat", "/proc/self/cgroup").out).toBe(
        bundle.ctr("exec", id, "cat", "/proc/1/cgroup").out,
      );
    } finally {
      bundle.ctr("delete", "--force", id);
    }
    expect(bundle.ctr("exec", id, "true").err).toContain("container does not exist");
    expect(left()).toEqual([]);
  });

  test("takes a whole process from a file", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    bundle.ctr("run", "-d", "--bundle", bundle.path, id);
    const file = join(bundle.path, "process.json");
    writeFileSync(
      file,
      JSON.stringify({ args: ["id", "-u"], cwd: "/", user: { uid: 5, gid: 6 }, env: ["PATH=/bin"] }),
    );
    expect(bundle.ctr("exec", "--process", file, id).out).toBe("5\n");
    bundle.ctr("delete", "-f", id);
  });
});

test("--log gets the error in runc's format, as engines read it", () => {
  bundle.configure(["nope"]);
  const log = join(bundle.path, "log.json");
  runCommand([
    CTR_BUN,
    "--root",
    bundle.state,
    "--log",
    log,
    "--log-format",
    "json",
    "create",
    "--bundle",
    bundle.path,
    freshID(),
  ]);
  const line = JSON.parse(readFileSync(log, "utf8").trim());
  expect(line).toMatchObject({ level: "error", field: "process.args[0]", errno: "ENOENT" });
  expect(line.msg).toContain("executable file not found in $PATH");
});

test("spec writes a config that runs", () => {
  const other = makeBundle();
  try {
    expect(other.ctr("spec", "--bundle", other.path).code).toBe(0);
    const config = JSON.parse(readFileSync(join(other.path, "config.json"), "utf8"));
    config.process.terminal = false;
    config.process.args = ["echo", "spec"];
    writeFileSync(join(other.path, "config.json"), JSON.stringify(config));
    expect(other.ctr("run", "--bundle", other.path, freshID()).out).toBe("spec\n");
    expect(other.ctr("spec", "--bundle", other.path).err).toContain("config.json exists");
  } finally {
    other.dispose();
  }
});
