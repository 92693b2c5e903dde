// SIGKILL to the init or to ctr-bun, at any moment: an error or a proper end, and nothing left. The moments are random;
// CTR_BUN_SEED repeats a run, CTR_BUN_ROUNDS (npm run soak) plays more of them.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
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

test("a directory without a record is deleted, whatever is in it", () => {
  for (const content of [undefined, "", "{"]) {
    const id = freshID();
    mkdirSync(join(bundle.state, id), { recursive: true });
    if (content !== undefined) writeFileSync(join(bundle.state, id, "creating.json"), content);
    expect(bundle.ctr("delete", id)).toEqual({ code: 0, out: "", err: "" });
    expect(bundle.ctr("state", id).err).toContain("container does not exist");
  }
});
