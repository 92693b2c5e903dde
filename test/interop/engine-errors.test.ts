// What goes wrong: each is one line that names what and where, a hint below it, and nothing is left behind.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Leftovers, newWorld, type World } from "./engine-setup.ts";

let world: World;
let before: Leftovers;
let snapshots: string[];

beforeAll(async () => {
  world = await newWorld();
  await world.ctr("run", "--rm", world.plain, "true");
  before = world.leftovers();
  snapshots = everySnapshot();
});
afterAll(async () => {
  await world.end();
});

/** All that lies in the snapshotter's directory, two levels deep. */
function everySnapshot(): string[] {
  const root = join(world.store, "snapshots");
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((path) => path.split("/").length < 5)
    .sort();
}

/** Runs, and expects one line of error, a hint, and a host as it was before. */
async function fails(args: string[], code: number, ...words: (string | RegExp)[]): Promise<void> {
  const result = await world.ctr(...args);
  const lines = result.stderr.trimEnd().split("\n");
  const errors = lines.filter((line) => line.startsWith("ctr-bun: "));
  expect({ code: result.code, errors: errors.length, stderr: result.stderr }).toEqual({
    code,
    errors: 1,
    stderr: result.stderr,
  });
  for (const word of words) expect(result.stderr).toMatch(word);
  expect(world.leftovers()).toEqual(before);
  expect(everySnapshot()).toEqual(snapshots);
}

describe("an error is one line, and leaves nothing", () => {
  test("an image that is not there", async () => {
    const name = `${world.registry.host}/nosuch:1`;
    await fails(["run", "--rm", name, "true"], 125, world.registry.host, /nosuch/);
    await fails(["pull", `${world.registry.host}/busybox:nosuch`], 1, /nosuch/);
    await fails(["run", "--pull", "never", "busybox:nosuch", "true"], 125, /busybox:nosuch/);
  });

  test("a registry that is down", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    await fails(["run", "--rm", `127.0.0.1:${port}/busybox:1`, "true"], 125, `127.0.0.1:${port}`);
  }, 60_000);

  test("a wrong digest", async () => {
    const digest = `sha256:${"0".repeat(64)}`;
    await fails(["run", `${world.registry.host}/busybox@${digest}`, "true"], 125, /0000/);
  });

  test("a program that does not exist, or is none", async () => {
    await fails(["run", world.plain, "/nosuch"], 127, /\/nosuch/);
    await fails(["run", world.plain, "nosuch"], 127, /nosuch/);
    await fails(["run", world.plain, "/etc/group"], 126, /\/etc\/group/);
  });

  test("a user or group that does not exist", async () => {
    await fails(
      ["run", "-u", "ghost", world.plain, "true"],
      125,
      /--user: the image has no user "ghost"/,
      /-u 1000/,
    );
    await fails(["run", "-u", "demo:ghosts", world.plain, "true"], 125, /no group "ghosts"/);
    await fails(["run", "-u", "4294967296", world.plain, "true"], 125, /4294967296/);
  });

  test("a mount source that does not exist", async () => {
    await fails(["run", "-v", "/no/such:/x", world.plain, "true"], 125, /--volume/, /\/no\/such/, /mkdir -p/);
    await fails(
      ["run", "--mount", "type=bind,source=/no/such,target=/x", world.plain],
      125,
      /--mount/,
      /\/no\/such/,
    );
  });

  test("a container's part that cannot be made", async () => {
    await fails(["run", "-w", "/etc/passwd/x", world.plain, "true"], 125, /\/etc\/passwd/);
    await fails(["run", "-v", "/etc/passwd:/etc", world.plain, "true"], 125, /\/etc/);
    await fails(
      ["run", "--network", "container:ghost", world.plain, "true"],
      125,
      /No such container: ghost/,
    );
    await fails(["run", "--env-file", "/no/such", world.plain], 125, /--env-file/, /\/no\/such/);
    await fails(["run", "--security-opt", "seccomp=/etc/passwd", world.plain], 125, /seccomp/);
    await fails(["run", "--entrypoint", "", world.plain], 125, /no command/);
  });

  test("a limit or a mount that the kernel refuses names its flag", async () => {
    await fails(["run", "--memory", "4k", world.plain, "true"], 125, /--memory: /, /raise --memory/);
    await fails(["run", "--ulimit", "nofile=99999999999", world.plain, "true"], 125, /--ulimit: /);
    await fails(["run", "-v", "/etc:/etc/passwd", world.plain, "true"], 125, /--volume: /);
    await fails(["--snapshotter", "moon", "run", world.plain], 125, /no snapshotter named "moon"/);
  });

  test("a plan of a directory that is no bundle", async () => {
    for (const path of [".", "./nope", "/nope"]) await fails(["plan", path], 125, /no config.json/);
  });

  test("a flag that makes no sense", async () => {
    const cases: [string[], RegExp][] = [
      [["--memory", "lots"], /--memory: "lots" is not a size/],
      [["--cpus", "9999"], /--cpus/],
      [["--cap-add", "FLY"], /--cap-add: there is no capability "FLY"/],
      [["--ulimit", "nofile=2:1"], /--ulimit/],
      [["--network", "moon"], /--network: there is no network "moon"/],
      [["--name", "-"], /--name/],
      [["--pull", "maybe"], /--pull/],
      [["--stop-signal", "NOPE"], /--stop-signal/],
      [["--dns", "x"], /--dns/],
    ];
    for (const [flags, words] of cases) await fails(["run", ...flags, world.plain, "true"], 125, words);
  });

  test("a command that does not exist", async () => {
    await fails(["imges"], 125, /unknown command: "imges"/, /did you mean images\?/);
    await fails(["ps", "--al"], 125, /unknown flag: --al/);
    await fails(["rm", "ghost"], 1, /No such container: ghost/);
    await fails(["inspect", "ghost"], 1, /No such object: ghost/);
  });

  test("all of it as JSON", async () => {
    const { stderr, code } = await world.ctr("--log-format", "json", "run", "-v", "/no/such:/x", world.plain);
    expect(code).toBe(125);
    expect(JSON.parse(stderr)).toMatchObject({
      level: "error",
      field: "--volume",
      path: "/no/such",
      errno: "ENOENT",
      syscall: "open",
    });
  });
});

test("a full disk leaves the store as it was", async () => {
  const small = mkdtempSync(join(tmpdir(), "ctr-bun-small-"));
  try {
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m", "small", small]).exitCode).toBe(0);
    const store = join(small, "store");
    const result = await world.ctr("--store", store, "run", "--rm", world.plain, "true");
    expect(result.code).toBe(125);
    expect(result.stderr.split("\n").filter((line) => line.startsWith("ctr-bun: "))).toHaveLength(1);
    expect(result.stderr).toMatch(/ENOSPC|no space left/);
    for (const part of ["containers", "names"]) {
      const left = existsSync(join(store, part)) ? readdirSync(join(store, part)) : [];
      expect(left.filter((name) => name !== ".lock")).toEqual([]);
    }
    expect((await world.ctr("--store", store, "images", "-q")).stdout).toBe("");
    expect(world.leftovers()).toEqual(before);
  } finally {
    Bun.spawnSync(["umount", small]);
    rmSync(small, { recursive: true });
  }
}, 60_000);

test("an interrupt while an image comes leaves nothing", async () => {
  const server = createServer(() => undefined).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  try {
    const child = world.start("run", "--rm", `127.0.0.1:${port}/slow:1`, "true");
    await Bun.sleep(700);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(world.leftovers()).toEqual(before);
  } finally {
    server.close();
  }
}, 30_000);

describe("the configuration", () => {
  test("is named with line and key where it is wrong", async () => {
    const file = join(world.scratch, "bad.toml");
    writeFileSync(file, 'network = "none"\nstroe = "/x"\n');
    const { code, stderr } = await world.ctr("--config", file, "ps");
    expect([code, stderr.split("\n")[0]]).toEqual([1, `ctr-bun: ${file}:2: there is no key stroe`]);
  });

  test("is shown with where each value is from", async () => {
    const file = join(world.scratch, "good.toml");
    writeFileSync(file, '[limits]\npids-limit = 50\n[registries."a:1"]\nplain-http = true\n');
    const { stdout } = await world.ctr("--config", file, "config");
    expect(stdout).toMatch(new RegExp(`store = "${world.store}" +# --store\n`));
    expect(stdout).toMatch(new RegExp(`limits.pids-limit = 50 +# ${file}:2\n`));
    expect(stdout).toMatch(/network = "none" +# default\n/);
    const { stdout: pids } = await world.ctr(
      "--config",
      file,
      "run",
      "--rm",
      world.plain,
      "sh",
      "-c",
      "cat /sys/fs/cgroup/pids/pids.max || cat /sys/fs/cgroup/pids.max",
    );
    expect(pids).toBe("50\n");
  });
});

test("help names the default network, and every flag", async () => {
  const { stdout, code } = await world.ctr("run", "--help");
  expect(code).toBe(0);
  expect(stdout).toContain("USAGE ctr-bun run [OPTIONS] IMAGE [COMMAND] [ARG...]");
  expect(stdout).toContain("The default network is none");
  expect(stdout).not.toContain("\u001b");
  mkdirSync(world.scratch, { recursive: true });
  const { stdout: all } = await world.ctr("help");
  for (const verb of [
    "run",
    "exec",
    "pull",
    "images",
    "rmi",
    "ps",
    "kill",
    "rm",
    "inspect",
    "plan",
    "config",
  ]) {
    expect(all).toContain(verb);
  }
});
