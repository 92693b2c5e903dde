// The cgroups of containers on v1 under runc and under ctr-bun: where they are made, from what is there before, who is in
// them, freezing, killing, counting, and what is left in the end. The values in their files are in runc-cgroups.test.ts.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { freshID, type Result } from "../support/bundle.ts";
import {
  cgroupFiles,
  hierarchies,
  makeCgroup,
  processesIn,
  removeCgroup,
  removeWhenLeft,
  whereFound,
} from "../support/cgroup-files.ts";
import type { Config } from "../support/config.ts";
import { type Beside, makeBeside, type Runtime } from "../support/runc-beside.ts";
import { until } from "../support/until.ts";

const PARENT = `ctr-bun-test-${process.pid}`;
const ALL = Object.keys(hierarchies());

let beside: Beside;
beforeAll(() => {
  beside = makeBeside();
  makeCgroup(PARENT);
});
const sleepers: Bun.Subprocess[] = [];
afterEach(async () => {
  for (const sleeper of sleepers.splice(0)) {
    sleeper.kill("SIGKILL");
    await sleeper.exited;
  }
});
afterAll(async () => {
  await beside.dispose();
  await removeWhenLeft(PARENT);
});

/** Where one of them has its container, below the mount points, when a test says nothing else. */
const place = ({ name }: Runtime): string => `${PARENT}/${name}`;
const at = (hierarchy: string, path: string): string => `${hierarchies()[hierarchy]}/${path}`;
const read = (hierarchy: string, path: string): string => readFileSync(at(hierarchy, path), "utf8").trim();
const write = (hierarchy: string, path: string, data: string): void =>
  writeFileSync(at(hierarchy, path), data);

/** A container that is created, and deleted in the end; `look` gets what `create` said. */
async function created<T>(
  runtime: Runtime,
  change: (config: Config) => void,
  look: (id: string, said: Result) => Promise<T>,
): Promise<T> {
  const id = freshID();
  let path: string | undefined;
  const said = await runtime.create(id, (config) => {
    config.linux.cgroupsPath = `/${place(runtime)}`;
    change(config);
    path = config.linux.cgroupsPath;
  });
  try {
    return await look(id, said);
  } finally {
    await runtime.ask("delete", "--force", id);
    // On a busy machine runc gives up before its last process has gone.
    if (runtime.name === "runc" && said.code === 0 && path === `/${place(runtime)}`)
      await removeWhenLeft(place(runtime));
  }
}

async function stateOf(runtime: Runtime, id: string): Promise<{ pid: number; status: string }> {
  return JSON.parse((await runtime.ask("state", id)).out);
}

/** A process of the test's own, in that cgroup in some hierarchies. */
function sleepIn(path: string, where: readonly string[]): number {
  const sleeper = Bun.spawn(["sleep", "1000"]);
  sleepers.push(sleeper);
  for (const hierarchy of where) write(hierarchy, `${path}/cgroup.procs`, String(sleeper.pid));
  return sleeper.pid;
}

/** Words that were said, without the time and the names that differ. */
const said = ({ err }: Result, { name }: Runtime): string => err.replaceAll(`${PARENT}/${name}`, "PLACE");

describe("linux.cgroupsPath", () => {
  const forms: Record<string, (mine: string) => string> = {
    absolute: (mine) => `/${mine}/a/b`,
    "with slashes more": (mine) => `//${mine}///a/b//`,
    "with . and ..": (mine) => `/${mine}/x/../a/./b/c/..`,
    "with .. above the root": (mine) => `/../../${mine}/a/b`,
    "with colons, blanks and letters of all kinds": (mine) => `/${mine}/a:b:c/d e\tü`,
    "relative: below the runtime's own": (mine) => `${mine}/a/b`,
    "relative, with .. above it": (mine) => `../../${mine}/a/b/`,
    "slice:prefix:name, a plain path without --systemd-cgroup": (mine) =>
      `${mine.replace("/", "-")}.slice:a:b`,
  };
  /** The cgroups that a process is in, in the hierarchies that are mounted, with the container's place by one name. */
  const cgroupsOf = (pid: number, runtime: Runtime): string[][] =>
    readFileSync(`/proc/${pid}/cgroup`, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => /^\d+:([^,:]*)[^:]*:(.*)$/.exec(line) ?? [])
      .map(([, name = "", path = ""]) => [name === "" ? "unified" : name, path])
      .filter(([name]) => ALL.includes(name ?? ""))
      .map((each) =>
        each.map((text) => text.replace(place(runtime), "PLACE").replace(sliceOf(runtime), "PLACE")),
      );
  const sliceOf = (runtime: Runtime): string => place(runtime).replace("/", "-");
  /** Takes away what is above the containers' own: both leave that, below the mount points and below our own cgroup. */
  const removeTheirs = async (): Promise<void> => {
    for (const name of ["runc", "ours"]) await removeWhenLeft(`${PARENT}/${name}`);
    const own = readFileSync("/proc/self/cgroup", "utf8").matchAll(/^[^:]*:[^:]*:(.+)$/gm);
    for (const [, path] of own) if (path !== "/") await removeWhenLeft(`${path}/${PARENT}`);
  };
  for (const [form, pathOf] of Object.entries(forms)) {
    test(form, async () => {
      const { runc, ours } = await beside.both((runtime) =>
        created(
          runtime,
          (config) => {
            config.linux.cgroupsPath = pathOf(place(runtime));
          },
          async (id, { code }) => {
            expect(code).toBe(0);
            return { cgroups: cgroupsOf((await stateOf(runtime, id)).pid, runtime) };
          },
        ).then((found) => ({ ...found, left: whereFound(place(runtime)).length })),
      );
      await removeTheirs();
      expect(ours).toEqual(runc);
      expect(runc.cgroups.length).toBe(ALL.length);
      for (const [, path] of runc.cgroups) expect(path).toContain("PLACE");
    });
  }

  test("none: the container's ID, with ctr-bun below a cgroup of its own that stays, with runc beside the caller's", async () => {
    const { runc, ours } = await beside.both((runtime) =>
      created(
        runtime,
        (config) => {
          delete config.linux.cgroupsPath;
        },
        async (id) => {
          const { pid } = await stateOf(runtime, id);
          return new Set(cgroupsOf(pid, runtime).map(([, path = ""]) => path.replace(id, "ID")));
        },
      ),
    );
    expect([...ours]).toEqual(["/ctr-bun/ID"]);
    for (const path of runc) expect(path).toEndWith("/ID");
  });
});

describe("a cgroup that is there before", () => {
  /** What it is like, and the same of one that was made for the container. */
  const states: Record<string, (path: string) => void> = {
    "empty, in all hierarchies": makeCgroup,
    "with limits of its own": (path) => {
      makeCgroup(path);
      write("memory", `${path}/memory.limit_in_bytes`, "99999744");
      write("cpu", `${path}/cpu.shares`, "77");
      write("cpuset", `${path}/cpuset.cpus`, "0");
      write("pids", `${path}/pids.max`, "33");
      write("devices", `${path}/devices.deny`, "a");
      write("devices", `${path}/devices.allow`, "c 10:1 r");
    },
    "in one hierarchy": (path) => mkdirSync(at("pids", path)),
    "with an empty cpuset": (path) => mkdirSync(at("cpuset", path)),
    "with CPUs, and without memory nodes": (path) => {
      mkdirSync(at("cpuset", path));
      write("cpuset", `${path}/cpuset.cpus`, "0");
    },
  };
  for (const [state, make] of Object.entries(states)) {
    test(`${state}: is used, keeps what is not asked for, and goes`, async () => {
      const { runc, ours } = await beside.both(async (runtime) => {
        make(place(runtime));
        const files = await created(
          runtime,
          ({ linux }) => {
            linux.resources.pids = { limit: 44 };
          },
          async (_id, { code }) => ({ code, files: code === 0 ? cgroupFiles(place(runtime)) : {} }),
        );
        return { ...files, left: whereFound(place(runtime)) };
      });
      expect(ours).toEqual(runc);
      expect({ code: runc.code, left: runc.left, pids: runc.files["pids/pids.max"] }).toEqual({
        code: 0,
        left: [],
        pids: "44",
      });
    });
  }

  /** Creating in it fails; what is left of it then. */
  const refused = (make: (path: string) => void) =>
    beside.both(async (runtime) => {
      const path = place(runtime);
      make(path);
      const outcome = await created(
        runtime,
        () => undefined,
        async (_id, result) => ({ code: result.code, words: said(result, runtime) }),
      );
      const left = whereFound(path);
      if (existsSync(at("freezer", path))) write("freezer", `${path}/freezer.state`, "THAWED");
      for (const sleeper of sleepers) sleeper.kill("SIGKILL");
      await Promise.all(sleepers.map((sleeper) => sleeper.exited));
      removeCgroup(path);
      return { ...outcome, left };
    });

  test("frozen: is refused in runc's words, and kept", async () => {
    const { runc, ours } = await refused((path) => {
      makeCgroup(path);
      write("freezer", `${path}/freezer.state`, "FROZEN");
    });
    for (const each of [runc, ours])
      expect(each).toEqual({
        code: 1,
        words: expect.stringContaining("container's cgroup unexpectedly frozen"),
        left: ALL,
      });
  });

  test("with others below it: rules for devices are refused by the kernel; ctr-bun keeps what is not its own", async () => {
    const { runc, ours } = await refused((path) => {
      makeCgroup(path);
      makeCgroup(`${path}/below`);
    });
    expect(runc).toMatchObject({
      code: 1,
      words: expect.stringContaining("devices.deny: invalid argument"),
    });
    expect(ours).toEqual({ code: 1, words: expect.stringContaining("devices.deny: EINVAL"), left: ALL });
    expect(ours.words).toContain("it has other cgroups below it");
  });

  // runc 1.1.5 warns of it, of some hierarchies, and shares the cgroup; later versions refuse it.
  for (const where of [ALL, ["cpu"], ["unified"]]) {
    test(`with a process in ${where === ALL ? "all hierarchies" : where}: is refused, and both are left alone`, async () => {
      const path = `${PARENT}/used`;
      makeCgroup(path);
      const pid = sleepIn(path, where);
      const id = freshID();
      const { ours } = await beside.both(async ({ name, ...runtime }) =>
        name === "runc"
          ? undefined
          : runtime.create(id, ({ linux }) => {
              linux.cgroupsPath = `/${path}`;
            }),
      );
      expect(ours?.code).toBe(1);
      expect(ours?.err).toContain("container's cgroup is not empty: 1 process(es) found");
      expect(whereFound(path)).toEqual(ALL);
      for (const name of where) expect(processesIn(path)[name]).toEqual([pid]);
      sleepers[0]?.kill("SIGKILL");
      await sleepers[0]?.exited;
      removeCgroup(path);
    });
  }
});

describe("processes", () => {
  test("of create and of exec are in every hierarchy, and in the same ones with both", async () => {
    const { runc, ours } = await beside.both((runtime) =>
      created(
        runtime,
        () => undefined,
        async (id) => {
          await runtime.ask("start", id);
          await runtime.ask("exec", "--detach", id, "sleep", "1000");
          const path = place(runtime);
          await until(() => processesIn(path).pids?.length === 2);
          const found = processesIn(path);
          return Object.entries(found).map(([hierarchy, pids]) => [
            hierarchy,
            String(pids) === String(found.pids),
          ]);
        },
      ),
    );
    expect(ours).toEqual(runc);
    expect(runc).toEqual(ALL.map((hierarchy) => [hierarchy, true]));
  });

  const hostPids = ({ process, linux }: Config): void => {
    linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
    process.args = ["sh", "-c", "sleep 1000 & sleep 1000 & wait"];
  };

  test("are listed and killed together, and delete removes what they leave", async () => {
    const { runc, ours } = await beside.both(async (runtime) => {
      const path = place(runtime);
      const seen = await created(runtime, hostPids, async (id) => {
        await runtime.ask("start", id);
        await until(() => processesIn(path).pids?.length === 3);
        const { pid } = await stateOf(runtime, id);
        const listed: number[] = JSON.parse((await runtime.ask("ps", "--format", "json", id)).out);
        const all = [...(processesIn(path).pids ?? [])];
        // A container that is stopped by its first process's end has others left.
        process.kill(pid, "SIGKILL");
        await until(async () => (await stateOf(runtime, id)).status === "stopped");
        const left = processesIn(path).pids?.length;
        const { code } = await runtime.ask("kill", "--all", id, "KILL");
        await until(() => processesIn(path).pids?.length === 0);
        return { listed: listed.sort().join() === all.sort().join(), left, code, gone: all.length };
      });
      return { ...seen, found: whereFound(path) };
    });
    expect(ours).toEqual(runc);
    expect(runc).toEqual({ listed: true, left: 2, code: 0, gone: 3, found: [] });
  });

  test("in cgroups that they made below are reached too; ctr-bun removes those, where runc 1.1 leaves them", async () => {
    const { ours, runc } = await beside.both(async (runtime) => {
      const path = place(runtime);
      const code = await created(runtime, hostPids, async (id) => {
        await runtime.ask("start", id);
        await until(() => processesIn(path).pids?.length === 3);
        const [, pid] = processesIn(path).pids ?? [];
        makeCgroup(`${path}/below`);
        for (const hierarchy of ALL) write(hierarchy, `${path}/below/cgroup.procs`, String(pid));
        const before = processesIn(path).pids?.length;
        const { code } = await runtime.ask("kill", "--all", id, "KILL");
        // Killed together, they need not be gone together.
        await until(() => [path, `${path}/below`].every((each) => processesIn(each).pids?.length === 0));
        return { before, code };
      });
      await until(
        () => whereFound(`${path}/below`).length === 0 || processesIn(`${path}/below`).pids?.length === 0,
      );
      const left = whereFound(path);
      removeCgroup(path);
      return { ...code, left };
    });
    expect(ours).toEqual({ ...runc, left: [] });
  });
});

describe("freezing", () => {
  const looks = (runtime: Runtime) =>
    ["freezer.state", "freezer.self_freezing", "freezer.parent_freezing"].map((file) =>
      read("freezer", `${place(runtime)}/${file}`),
    );

  test("leads to the same states, created and running, and a frozen container is deleted", async () => {
    const { runc, ours } = await beside.both(async (runtime) => {
      const seen = await created(
        runtime,
        () => undefined,
        async (id) => {
          const steps: unknown[] = [looks(runtime)];
          for (const verb of ["pause", "resume", "start", "pause", "pause", "resume", "pause"]) {
            const { code } = await runtime.ask(verb, id);
            steps.push([verb, code, (await stateOf(runtime, id)).status, ...looks(runtime)]);
          }
          return steps;
        },
      );
      return { seen, left: whereFound(place(runtime)) };
    });
    expect(ours).toEqual(runc);
    expect(runc.seen).toContainEqual(["pause", 0, "paused", "FROZEN", "1", "0"]);
    expect(runc.left).toEqual([]);
  });

  test("from above is not the container's own, and does not show in its status", async () => {
    const { runc, ours } = await beside.both((runtime) =>
      created(
        runtime,
        ({ linux }) => {
          linux.cgroupsPath = `/${place(runtime)}/inner`;
        },
        async (id) => {
          await runtime.ask("start", id);
          const above = `${place(runtime)}/freezer.state`;
          write("freezer", above, "FROZEN");
          await until(() => read("freezer", above) === "FROZEN");
          const frozen = [
            (await stateOf(runtime, id)).status,
            read("freezer", `${place(runtime)}/inner/freezer.state`),
          ];
          write("freezer", above, "THAWED");
          return [...frozen, (await stateOf(runtime, id)).status];
        },
      ).finally(() => removeWhenLeft(place(runtime))),
    );
    expect(ours).toEqual(runc);
    expect(runc).toEqual(["running", "FROZEN", "running"]);
  });
});
