// What goes wrong around a container stays with it: nobody else's cgroups, descriptors or processes are touched, nothing
// spins or hangs, and what is damaged can be taken away.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import { leftAfter, leftOf } from "../support/left.ts";
import { until } from "../support/until.ts";

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

test("a create that fails leaves the directory of its state to whoever has it by then", async () => {
  const id = freshID();
  const reached = join(bundle.path, "taken");
  const directory = join(bundle.state, id);
  bundle.configure(["true"], (config) => {
    config.hooks = {
      createRuntime: [
        {
          path: "/bin/sh",
          args: ["sh", "-c", `rm -r ${directory}; mkdir ${directory}; touch ${reached}; exit 1`],
        },
      ],
    };
  });
  try {
    expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(1);
    expect(existsSync(reached)).toBe(true);
    expect(existsSync(directory)).toBe(true);
  } finally {
    bundle.ctr("delete", "--force", id);
  }
});

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
      // A cgroup that does not empty is waited for for ten seconds.
      expect(performance.now() - began).toBeLessThan(9000);
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

  test("one that others have made anew in place of its own, when it fails", async () => {
    const id = freshID();
    const own = HIERARCHIES.map((hierarchy) => join(hierarchy, path, "own"));
    const note = join(bundle.path, "stranger");
    // As a person would who takes the cgroup away under it: the init goes to the root, and another process comes.
    const anew = `
      pid=$(sed 's/.*"pid": *\\([0-9]*\\).*/\\1/')
      sleep 30 >/dev/null 2>&1 & echo $! >${note}
      for own in ${own.join(" ")}; do
        echo $pid >$own/../../cgroup.procs
        rmdir $own && mkdir $own
        case $own in */cpuset/*) for f in cpus mems; do cat $own/../cpuset.$f >$own/cpuset.$f; done ;; esac
        echo $! >$own/cgroup.procs
      done
      exit 1`;
    bundle.configure(["true"], (config) => {
      config.linux.cgroupsPath = `${path}/own`;
      config.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", anew] }] };
    });
    let stranger = 0;
    try {
      const failed = bundle.ctr("create", "--bundle", bundle.path, id);
      stranger = Number(readFileSync(note, "utf8"));
      expect(failed.code).toBe(1);
      expect(failed.err).not.toContain("warning");
      expect(readFileSync(`/proc/${stranger}/comm`, "utf8")).toBe("sleep\n");
      expect(own.filter(existsSync)).toEqual(own);
    } finally {
      if (stranger > 0) process.kill(stranger, "SIGKILL");
      await until(() => !existsSync(`/proc/${stranger}`));
      for (const directory of own) {
        rmdirSync(directory);
        rmdirSync(join(directory, ".."));
      }
    }
  });

  test("a file of a cgroup, which is refused before anything is made", () => {
    const [first = ""] = HIERARCHIES;
    for (const file of ["cgroup.procs", "cgroup.procs/deeper"]) {
      bundle.configure(["true"], ({ linux }) => {
        linux.cgroupsPath = `/${file}`;
      });
      const refused = bundle.ctr("create", "--bundle", bundle.path, freshID());
      expect(refused).toMatchObject({
        code: 1,
        err: expect.stringMatching(/linux\.cgroupsPath: leads to a file of a cgroup, not to a cgroup/),
      });
    }
    expect(existsSync(join(first, "cgroup.procs/deeper"))).toBe(false);
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

test("a frozen container is deleted with force, at once", () => {
  const id = freshID();
  bundle.configure(["sleep", "100"]);
  expect(bundle.ctr("run", "-d", "--bundle", bundle.path, id).code).toBe(0);
  const [v1, v2] = [`freezer/ctr-bun/${id}/freezer.state`, `ctr-bun/${id}/cgroup.freeze`].map((name) =>
    join(CGROUPS, name),
  );
  if (v1 !== undefined && existsSync(v1)) writeFileSync(v1, "FROZEN");
  else writeFileSync(v2 ?? "", "1");
  expect(status(id)).toBe("paused");
  const began = performance.now();
  expect(bundle.ctr("delete", "--force", id)).toEqual({ code: 0, out: "", err: "" });
  expect(performance.now() - began).toBeLessThan(9000);
});

test("a container whose start was killed before it took the socket away is running", () => {
  const id = freshID();
  bundle.configure(["sleep", "100"]);
  expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
  const [directory, socket] = [join(bundle.state, id), join(bundle.state, id, "s")];
  try {
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(status(id)).toBe("created");
    expect(bundle.ctr("start", id).code).toBe(0);
    writeFileSync(socket, "");
    expect(status(id)).toBe("running");
    expect(bundle.ctr("delete", id).err).toContain("that is not stopped: running");
    expect(bundle.ctr("kill", id, "0").code).toBe(0);
    expect(status(id)).toBe("running");
  } finally {
    bundle.ctr("delete", "--force", id);
  }
});

describe("a state root with something else in it", () => {
  test("is listed without it", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr("run", "-d", "--bundle", bundle.path, id).code).toBe(0);
    const folder = join(bundle.state, "a b");
    mkdirSync(folder);
    try {
      expect(bundle.ctr("list", "-q")).toEqual({ code: 0, out: `${id}\n`, err: "" });
    } finally {
      rmdirSync(folder);
      bundle.ctr("delete", "--force", id);
    }
  });

  test("a damaged state is said to be, and deleted with force", () => {
    for (const text of ["{", "null", '{"version":1}', ""]) {
      const id = freshID();
      bundle.configure(["sleep", "100"]);
      expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
      const file = join(bundle.state, id, "state.json");
      writeFileSync(file, text);
      const { code, out, err } = bundle.ctr("list", "-q");
      expect({ code, out }).toEqual({ code: 0, out: "" });
      expect(err).toContain(file);
      const refused = bundle.ctr("delete", id);
      expect(refused.code).toBe(1);
      expect(refused.err).toContain("not a state of this version of ctr-bun");
      expect(refused.err).toContain(file);
      expect(bundle.ctr("delete", "--force", id).code).toBe(0);
      expect(leftOf(bundle, id)).toEqual([]);
    }
  });
});

test("a namespace's path that is a FIFO, or another file, is an error", () => {
  const fifo = join(bundle.path, "fifo");
  expect(runCommand(["mkfifo", fifo]).code).toBe(0);
  for (const path of [fifo, "/dev/null"]) {
    const { code, err } = bundle.run(["true"], ({ linux }) => {
      linux.namespaces = linux.namespaces.map((each) => (each.type === "network" ? { ...each, path } : each));
    });
    expect(code).toBe(1);
    expect(err).toContain("linux.namespaces[1]: not the file of a namespace");
    expect(err).toContain(path);
  }
});

test("a hook may write to stderr without end: the last of it is told, and what it leaves running is not waited for", () => {
  const sleeper = join(bundle.path, "sleeper");
  const flood = `yes first | head -c 200000000 >&2; sleep 100 & echo $! >${sleeper}; echo last >&2; exit 3`;
  const began = performance.now();
  const { code, err } = bundle.run(["true"], (config) => {
    config.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", flood] }] };
  });
  expect(code).toBe(1);
  expect(err).toContain("hooks.createRuntime[0]: the hook ended with 3: ");
  expect(err).toContain("last (");
  expect(err.length).toBeLessThan(1000);
  expect(performance.now() - began).toBeLessThan(50_000);
  process.kill(Number(readFileSync(sleeper, "utf8")));
});
