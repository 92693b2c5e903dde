// SIGKILL to the init or to ctr-bun, at any moment: an error or a proper end, and nothing left. The moments are random;
// CTR_BUN_SEED repeats a run, CTR_BUN_ROUNDS (npm run soak) plays more of them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtinRegistry } from "../../src/builtin-drivers.ts";
import { CLONE_PARENT } from "../../src/kernel/constants.ts";
import { row, slot, syncStep } from "../../src/plan/rows.ts";
import { CHILD, cloneStep, firstStep } from "../../src/plan/stage0.ts";
import type { InitStep } from "../../src/plan/step.ts";
import { applyPlan } from "../../src/runtime/apply.ts";
import { probeHost } from "../../src/runtime/host.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle } from "../support/bundle.ts";
import { killAtRandom } from "../support/killing.ts";
import { cgroupsOf, childrenOf, leftAfter } from "../support/left.ts";
import { chooseSeed, seeded } from "../support/random.ts";
import { until } from "../support/until.ts";

const ROUNDS = Number(process.env.CTR_BUN_ROUNDS ?? 10);

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  bundle.configure(["true"], ({ process }) => {
    process.rlimits = [];
  });
});
afterAll(() => bundle.dispose());

test(
  "the init or ctr-bun killed at random moments",
  async () => {
    const seed = chooseSeed();
    const { outcomes, faults } = await killAtRandom(bundle, ROUNDS, seeded(seed));
    expect({ seed, faults }).toEqual({ seed, faults: [] });
    // Not all kills came too late.
    expect(Object.keys(outcomes).some((name) => name.includes("failed"))).toBe(true);
    expect(Object.keys(outcomes).some((name) => name.includes("killed"))).toBe(true);
  },
  ROUNDS * 3000 + 60_000,
);

test("stage 0 killed before it could say what its child's pid is is an error, and the child ends", () => {
  const clone = cloneStep(CLONE_PARENT, undefined);
  const rows = clone.rows.flatMap((each) =>
    each.call === "write" ? [row("getpid", [], { store: "me" }), row("kill", [slot("me"), 9])] : [each],
  );
  const child: InitStep = {
    on: "init",
    field: "process",
    about: "begin",
    rows: [row("setsid", [], { label: CHILD })],
  };
  const created = syncStep("created", "process", "wait");
  const plan = {
    steps: [firstStep(), { ...clone, rows }, child, created],
    cgroupPaths: {},
    cgroupDriver: undefined,
    warnings: [],
  };
  const before = childrenOf(process.pid);
  const apply = () =>
    applyPlan({
      plan,
      host: probeHost(),
      registry: builtinRegistry(),
      stdio: [0, 1, 2],
      until: "created",
    });
  expect(apply).toThrow("the container's init was killed by signal 9 before the program started");
  expect(childrenOf(process.pid)).toEqual(before);
});

test("a create under way is not deleted; with force it is ended, and nothing is left", async () => {
  const id = freshID();
  const slow = makeBundle();
  try {
    const reached = join(slow.path, "reached");
    slow.configure(["true"], (config) => {
      config.hooks = {
        createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `touch ${reached}; sleep 1`] }],
      };
    });
    const child = Bun.spawn([CTR_BUN, "--root", slow.state, "create", "--bundle", slow.path, id], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    while (!(await Bun.file(reached).exists())) await Bun.sleep(10);
    expect(cgroupsOf(id)).not.toEqual([]);
    const refused = slow.ctr("delete", id);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain(`cannot delete container ${id} that is not stopped: creating`);
    expect(slow.ctr("delete", "--force", id)).toEqual({ code: 0, out: "", err: "" });
    expect(await child.exited).toBe(1);
    expect(await leftAfter(slow, id, new Map())).toEqual([]);
  } finally {
    slow.dispose();
  }
});

describe("cgroups that others have made anew by the time of delete --force", () => {
  const CGROUPS = "/sys/fs/cgroup";
  const HIERARCHIES = existsSync(join(CGROUPS, "cgroup.procs"))
    ? [CGROUPS]
    : readdirSync(CGROUPS).map((name) => join(CGROUPS, name));

  /** Takes the cgroups away once they are empty, and makes them anew with `stranger` in them. */
  async function makeAnew(own: readonly string[], stranger: number): Promise<void> {
    for (const directory of own) {
      await until(() => readFileSync(join(directory, "cgroup.procs"), "utf8") === "");
      rmdirSync(directory);
      mkdirSync(directory);
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        const above = join(directory, "..", file);
        if (existsSync(join(directory, file))) writeFileSync(join(directory, file), readFileSync(above));
      }
      writeFileSync(join(directory, "cgroup.procs"), `${stranger}`);
    }
  }

  /** Whoever is in them then is alive, and they are there, once the container is deleted. */
  async function outlives(path: string, make: (id: string, slow: Bundle) => Promise<void>): Promise<void> {
    const id = freshID();
    const slow = makeBundle();
    const own = HIERARCHIES.map((hierarchy) => join(hierarchy, path));
    const stranger = Bun.spawn(["sleep", "60"]);
    try {
      await make(id, slow);
      await makeAnew(own, stranger.pid);
      expect(slow.ctr("delete", "--force", id)).toEqual({ code: 0, out: "", err: "" });
      expect(stranger.exitCode ?? stranger.signalCode).toBe(null);
      expect(readFileSync(`/proc/${stranger.pid}/comm`, "utf8")).toBe("sleep\n");
      expect(own.filter(existsSync)).toEqual(own);
      expect(existsSync(join(slow.state, id))).toBe(false);
    } finally {
      stranger.kill("SIGKILL");
      await stranger.exited;
      for (const directory of own.filter(existsSync)) rmdirSync(directory);
      slow.ctr("delete", "--force", id);
      slow.dispose();
    }
  }

  test("of a create that was killed", async () => {
    const path = `/ctr-bun-anew-${process.pid}`;
    await outlives(path, async (id, slow) => {
      const reached = join(slow.path, "reached");
      slow.configure(["true"], (config) => {
        config.linux.cgroupsPath = path;
        config.hooks = {
          createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `echo $$ >${reached}; sleep 10`] }],
        };
      });
      const child = Bun.spawn([CTR_BUN, "--root", slow.state, "create", "--bundle", slow.path, id], {
        stdio: ["ignore", "ignore", "ignore"],
      });
      await until(() => existsSync(reached) && readFileSync(reached, "utf8") !== "");
      child.kill("SIGKILL");
      await child.exited;
      process.kill(Number(readFileSync(reached, "utf8")), "SIGKILL");
    });
  });

  test("of a container without pids of its own that has ended", async () => {
    const path = `/ctr-bun-anew-${process.pid}`;
    await outlives(path, async (id, slow) => {
      slow.configure(["true"], (config) => {
        config.linux.cgroupsPath = path;
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== "pid");
      });
      expect(slow.ctr("create", "--bundle", slow.path, id).code).toBe(0);
      expect(slow.ctr("start", id).code).toBe(0);
    });
  });
});

test("a directory without a record is deleted, whatever is in it", () => {
  for (const content of [undefined, "", "{"]) {
    const id = freshID();
    mkdirSync(join(bundle.state, id), { recursive: true });
    if (content !== undefined) writeFileSync(join(bundle.state, id, "creating.json"), content);
    expect(bundle.ctr("delete", id)).toEqual({ code: 0, out: "", err: "" });
    expect(bundle.ctr("state", id).err).toContain("container does not exist");
  }
});
