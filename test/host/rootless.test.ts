// An ordinary user without any capability runs containers as with runc: the bundle of `spec --rootless`, the whole life of
// one, and what cannot be had. The user is a number that no /etc/passwd has.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CTR_BUN, freshID, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { makeUserBundle, ORDINARY as USER, type UserBundle } from "../support/rootless.ts";
import { until } from "../support/until.ts";

let user: UserBundle;
beforeAll(() => {
  user = makeUserBundle();
});
afterAll(() => user.dispose());

describe("an ordinary user's container", () => {
  test("is run from the bundle that spec --rootless writes", () => {
    const script = "id -u; tr -s ' ' </proc/self/uid_map; grep CapEff /proc/self/status; echo x >/dev/null";
    expect(user.run(["sh", "-c", script])).toEqual({
      code: 0,
      out: `0\n 0 ${USER} 1\nCapEff:\t0000000020000420\n`,
      err: "",
    });
  });

  test("has its whole life: create, exec, start, ps, list, kill, delete", async () => {
    user.configure(["sh", "-c", "trap 'exit 7' TERM; sleep 300 & wait"]);
    const id = freshID();
    expect(user.quietly("create", id)).toBe(0);
    expect(JSON.parse(user.ctr("state", id).out)).toMatchObject({ status: "created", id });
    // The init that waits is entered, too.
    expect(user.ctr("exec", id, "readlink", "/proc/1/exe").out).toContain("memfd:init");
    expect(user.ctr("start", id)).toEqual({ code: 0, out: "", err: "" });
    expect(user.ctr("exec", id, "id", "-u")).toEqual({ code: 0, out: "0\n", err: "" });
    const processes = (): number[] => JSON.parse(user.ctr("ps", "--format", "json", id).out);
    await until(() => processes().length === 2);
    expect(processes()).toContain(JSON.parse(user.ctr("state", id).out).pid);
    expect(user.ctr("list").out).toMatch(new RegExp(`^${id} .* running `, "m"));
    expect(user.ctr("kill", "--all", id, "TERM").code).toBe(0);
    await until(() => JSON.parse(user.ctr("state", id).out).status === "stopped");
    expect(user.ctr("delete", id)).toEqual({ code: 0, out: "", err: "" });
    expect(readdirSync(`${user.runtime}/ctr-bun/oci`)).not.toContain(id);
  });

  test("is kept in XDG_RUNTIME_DIR, in a directory that nobody else reads", () => {
    user.configure(["sleep", "300"]);
    const id = freshID();
    expect(user.quietly("run", "-d", id)).toBe(0);
    const modes = ["ctr-bun", "ctr-bun/oci", `ctr-bun/oci/${id}`].map((path) =>
      runCommand(["stat", "-c", "%a %u", join(user.runtime, path)]).out.trim(),
    );
    expect(modes).toEqual([`1700 ${USER}`, `1700 ${USER}`, `700 ${USER}`]);
    // Verbs of both levels find it there.
    expect(user.as([CTR_BUN, "exec", id, "echo", "found"]).out).toBe("found\n");
    expect(user.ctr("delete", "--force", id).code).toBe(0);
  });

  test("joins another's user namespace, and with it the namespaces that belong to that", () => {
    user.configure(["sleep", "300"]);
    const id = freshID();
    expect(user.quietly("run", "-d", id)).toBe(0);
    const { pid } = JSON.parse(user.ctr("state", id).out);
    const fileOf = (type: string) => (type === "mount" ? "mnt" : type);
    const show = (process: string, types: readonly string[]) => [
      ...["sh", "-c", types.map((type) => `readlink /proc/${process}/ns/${fileOf(type)}`).join("; ")],
    ];
    const join = (...types: string[]) =>
      user.run(show("self", types), (config) => {
        for (const namespace of config.linux.namespaces)
          if (types.includes(namespace.type)) namespace.path = `/proc/${pid}/ns/${fileOf(namespace.type)}`;
        if (!types.includes("mount")) return;
        // What is mounted there stays, and is no business of this one.
        config.mounts = [];
        config.linux.maskedPaths = config.linux.readonlyPaths = [];
        config.root = { path: "/", readonly: false };
      });
    const theirs = (...types: string[]) => user.ctr("exec", id, ...show("1", types)).out;
    expect(join("user", "ipc")).toEqual({ code: 0, out: theirs("user", "ipc"), err: "" });
    expect(join("user", "mount", "pid")).toEqual({ code: 0, out: theirs("user", "mount", "pid"), err: "" });
    expect(user.ctr("delete", "--force", id).code).toBe(0);
  });

  test("reaches a bind source in a directory that is closed to others", () => {
    const closed = join(user.path, "closed");
    mkdirSync(closed);
    writeFileSync(join(closed, "file"), "mine\n");
    user.give(closed);
    chmodSync(closed, 0o700);
    const { code, out, err } = user.run(["cat", "/tmp/file"], ({ mounts }) => {
      mounts.push({ destination: "/tmp", type: "bind", source: closed, options: ["bind"] });
    });
    expect({ code, out, err }).toEqual({ code: 0, out: "mine\n", err: "" });
  });

  test("runs its hooks as the user", () => {
    const told = join(user.path, "closed-by-hook");
    writeFileSync(told, "");
    user.give(told);
    expect(
      user.run(["true"], (config) => {
        config.hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `id -u >${told}`] }] };
      }).code,
    ).toBe(0);
    expect(readFileSync(told, "utf8")).toBe(`${USER}\n`);
  });
});

describe("what an ordinary user cannot have is an error that says why, and what helps:", () => {
  test("a limit, where no cgroup was delegated", () => {
    const { code, err } = user.run(["true"], ({ linux }) => {
      linux.resources = { memory: { limit: 64 << 20 } };
    });
    expect(code).toBe(1);
    expect(err).toMatch(
      /^ctr-bun: linux\.resources\.memory\.limit: cannot set memory\.\S+: this user may make no cgroup in \/sys\/fs\/cgroup/,
    );
    expect(err).toContain("chown");
  });

  test("a file of the cgroup2 tree", () => {
    const { err } = user.run(["true"], ({ linux }) => {
      linux.resources = { unified: { "cgroup.max.depth": "3" } };
    });
    expect(err).toContain(
      "linux.resources.unified.cgroup.max.depth: cannot set cgroup.max.depth: this user may make no cgroup in /sys/fs/cgroup",
    );
  });

  test("a cgroupsPath of root's", () => {
    const { code, err } = user.run(["true"], ({ linux }) => {
      linux.cgroupsPath = "/ctr-bun-rootless";
    });
    expect(code).toBe(1);
    expect(err).toContain("linux.cgroupsPath");
    expect(err).toContain("that part of the tree was not delegated to this user");
  });

  test("pausing, counting and limiting what has no cgroup", () => {
    user.configure(["sleep", "300"]);
    const id = freshID();
    expect(user.quietly("run", "-d", id)).toBe(0);
    for (const verb of [["pause"], ["events", "--stats"], ["update", "--memory", "64m"]]) {
      const { code, err } = user.ctr(...verb, id);
      expect({ verb, code, err }).toEqual({
        verb,
        code: 1,
        err: expect.stringMatching(/^ctr-bun: container \S+ has no cgroup, so [^\n]*\n.*was delegated\n$/s),
      });
    }
    expect(user.ctr("delete", "--force", id).code).toBe(0);
  });

  test("IDs of others without newuidmap, or without a range of its own", () => {
    const { code, err } = user.run(["true"], ({ linux }) => {
      linux.uidMappings = [
        { containerID: 0, hostID: USER, size: 1 },
        { containerID: 1, hostID: 100_000, size: 65_536 },
      ];
    });
    expect(code).toBe(1);
    expect(err).toMatch(/^ctr-bun: linux\.uidMappings: .*newuidmap/);
    expect(err).toContain(
      `/etc/subuid (usermod --add-subuids); without, map {"containerID": 0, "hostID": ${USER}, "size": 1} alone`,
    );
  });

  test("supplementary groups", () => {
    const { code, err } = user.run(["true"], ({ process }) => {
      process.user = { uid: 0, gid: 0, additionalGids: [0] } as Config["process"]["user"];
    });
    expect(code).toBe(1);
    expect(err).toContain(
      "process.user.additionalGids: cannot be set: in this user namespace setgroups is denied",
    );
  });

  test("namespaces without a user namespace", () => {
    const { code, err } = user.run(["true"], ({ linux }) => {
      linux.namespaces = linux.namespaces.filter(({ type }) => type !== "user");
      linux.uidMappings = linux.gidMappings = [];
    });
    expect(code).toBe(1);
    expect(err).toContain("making namespaces takes root, or a user namespace among linux.namespaces");
  });

  test("a higher hard limit than the user's", () => {
    const { code, err } = user.run(["true"], ({ process }) => {
      process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 1 << 20 }];
    });
    expect(code).toBe(1);
    expect(err).toContain(
      "process.rlimits[0]: cannot set RLIMIT_NOFILE to 1024, at most 1048576: operation not permitted (prlimit64: EPERM)",
    );
    expect(err).toContain("stay below the host's own hard limit");
  });

  test("a place for its containers, without XDG_RUNTIME_DIR", () => {
    const { code, err } = user.as([CTR_BUN, "oci", "run", freshID()], { XDG_RUNTIME_DIR: "" });
    expect(code).toBe(1);
    expect(err).toMatch(/^ctr-bun: --root: .*mkdir \/run\S*/);
    expect(err).toContain("XDG_RUNTIME_DIR");
  });

  test("images", () => {
    for (const verb of [
      ["pull", "localhost:1/none"],
      ["run", "localhost:1/none"],
    ]) {
      const { code, err } = user.as([CTR_BUN, ...verb]);
      expect({ verb, failed: code !== 0 }).toEqual({ verb, failed: true });
      expect(err).toMatch(new RegExp(`${verb[0]} needs root so far: ctr-bun runs as user ${USER}`));
    }
  });
});
