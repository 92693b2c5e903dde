// What goes wrong around a container stays with it: nobody else's cgroups, descriptors or processes are touched, nothing
// spins or hangs, and what is damaged can be taken away.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import { leftAfter } from "../support/left.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const CGROUPS = "/sys/fs/cgroup";
/** Mount points of all hierarchies. */
const HIERARCHIES = existsSync(join(CGROUPS, "cgroup.procs"))
  ? [CGROUPS]
  : readdirSync(CGROUPS).map((name) => join(CGROUPS, name));

function status(id: string): string {
  return JSON.parse(bundle.ctr("state", id).out).status;
}

describe("a create does not touch cgroups that it did not make", () => {
  const path = `/faults-${process.pid}`;
  const kids = HIERARCHIES.map((hierarchy) => join(hierarchy, path, "kid"));
  const inPath: Parameters<Bundle["configure"]>[1] = ({ linux }) => {
    linux.cgroupsPath = path;
  };

  test("another container's, when it is refused", () => {
    const [a, b] = [freshID(), freshID()];
    bundle.configure(["sleep", "100"], inPath);
    try {
      expect(bundle.ctr("run", "-d", "--bundle", bundle.path, a).code).toBe(0);
      for (const kid of kids) mkdirSync(kid);
      const began = performance.now();
      const refused = bundle.ctr("create", "--bundle", bundle.path, b);
      expect(refused.code).toBe(1);
      expect(refused.err).toContain("container's cgroup is not empty");
      expect(refused.err).not.toContain("warning");
      expect(performance.now() - began).toBeLessThan(3000);
      expect(kids.filter(existsSync)).toEqual(kids);
      // As a create that was killed right after it began leaves it.
      mkdirSync(join(bundle.state, b));
      const note = { pid: 1, started: "0", cgroupPaths: {}, cgroupDriver: "v1" };
      writeFileSync(join(bundle.state, b, "creating.json"), JSON.stringify(note));
      expect(bundle.ctr("delete", "--force", b)).toEqual({ code: 0, out: "", err: "" });
      expect(status(a)).toBe("running");
      expect(kids.filter(existsSync)).toEqual(kids);
    } finally {
      bundle.ctr("delete", "--force", a);
    }
  });

  test("an empty one, when it fails or is ended", async () => {
    const id = freshID();
    for (const kid of kids) mkdirSync(kid, { recursive: true });
    try {
      bundle.configure(["/nosuch"], ({ linux }) => {
        linux.cgroupsPath = `${path}/kid`;
      });
      const failed = bundle.ctr("create", "--bundle", bundle.path, id);
      expect(failed.err).toContain("no such file or directory");
      expect(kids.filter(existsSync)).toEqual(kids);
      const reached = join(bundle.path, "reached");
      bundle.configure(["true"], (config) => {
        config.linux.cgroupsPath = `${path}/kid`;
        config.hooks = {
          createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `touch ${reached}; sleep 1`] }],
        };
      });
      const child = Bun.spawn([CTR_BUN, "--root", bundle.state, "create", "--bundle", bundle.path, id], {
        stdio: ["ignore", "ignore", "ignore"],
      });
      while (!existsSync(reached)) await Bun.sleep(10);
      const note = JSON.parse(readFileSync(join(bundle.state, id, "creating.json"), "utf8"));
      expect(note.cgroupPaths).toEqual({});
      expect(bundle.ctr("delete", "--force", id)).toEqual({ code: 0, out: "", err: "" });
      expect(await child.exited).toBe(1);
      expect(await leftAfter(bundle, id, new Map())).toEqual([]);
      expect(kids.filter(existsSync)).toEqual(kids);
    } finally {
      for (const kid of kids) {
        rmdirSync(kid);
        rmdirSync(join(kid, ".."));
      }
    }
  });

  test("and takes away those that it made", () => {
    const own = HIERARCHIES.map((hierarchy) => join(hierarchy, path));
    bundle.configure(["/nosuch"], ({ linux }) => {
      linux.cgroupsPath = `${path}/deep/one`;
    });
    expect(bundle.ctr("create", "--bundle", bundle.path, freshID()).code).toBe(127);
    expect(own.filter(existsSync)).toEqual([]);
  });
});

test("poststop hooks run after a createRuntime hook that fails", () => {
  const stopped = join(bundle.path, "stopped");
  const { code, err } = bundle.run(["true"], (config) => {
    config.hooks = {
      createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "exit 3"] }],
      poststop: [{ path: "/bin/sh", args: ["sh", "-c", `cat > ${stopped}`] }],
    };
  });
  expect(code).toBe(1);
  expect(err).toContain("hooks.createRuntime[0]");
  expect(JSON.parse(readFileSync(stopped, "utf8")).status).toBe("stopped");
});

describe("--preserve-fds", () => {
  /** Runs the command in a shell, with these redirections. */
  const shell = (redirections: string, ...args: string[]) =>
    runCommand([
      "sh",
      "-c",
      `exec "$@" ${redirections}`,
      "sh",
      ...[CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, ...args, freshID()],
    ]);

  test("refuses what is not open, and what is ctr-bun's own", () => {
    bundle.configure(["cat", "/proc/self/fd/4"]);
    const gap = shell("4</dev/null", "--preserve-fds", "2");
    expect(gap.code).toBe(1);
    expect(gap.err).toContain("--preserve-fds: unable to stat preserved-fd 3: it is ctr-bun's own");
    const many = shell("", "--preserve-fds", "99");
    expect(many.code).toBe(1);
    expect(many.err).toContain("--preserve-fds: unable to stat preserved-fd 3");
    writeFileSync(join(bundle.path, "text"), "passed on\n");
    const given = shell(`3</dev/null 4<${bundle.path}/text`, "--preserve-fds", "2");
    expect(given).toEqual({ code: 0, out: "passed on\n", err: "" });
  });
});

test("the end of the program is heard of where SIGCHLD was ignored", () => {
  const ignoring = (...args: string[]) =>
    runCommand([
      "timeout",
      "-s",
      "KILL",
      "20",
      "sh",
      "-c",
      'trap "" CHLD; exec "$@"',
      "sh",
      ...[CTR_BUN, "--root", bundle.state, ...args],
    ]);
  const [id, kept] = [freshID(), freshID()];
  bundle.configure(["sh", "-c", "exit 7"]);
  expect(ignoring("run", "--bundle", bundle.path, id).code).toBe(7);
  bundle.configure(["/nosuch"]);
  expect(ignoring("run", "--bundle", bundle.path, id).code).toBe(127);
  bundle.configure(["sleep", "100"]);
  try {
    expect(ignoring("run", "-d", "--bundle", bundle.path, kept).code).toBe(0);
    expect(ignoring("exec", kept, "sh", "-c", "exit 9").code).toBe(9);
    const env = bundle.ctr("exec", "-e", "TERM=first", "-e", "TERM=last", kept, "env").out.split("\n");
    expect(env.filter((line) => line.startsWith("TERM="))).toEqual(["TERM=last"]);
  } finally {
    bundle.ctr("delete", "--force", kept);
  }
});
