// The tracing executor: a container that really runs, and the time of every step of its plan.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

test("run --trace says what every step took, in the plan's order", () => {
  bundle.configure(["echo", "traced"]);
  const file = join(bundle.path, "trace");
  expect(bundle.ctr("run", "--trace", file, "--bundle", bundle.path, freshID())).toMatchObject({
    code: 0,
    out: "traced\n",
  });
  const lines = readFileSync(file, "utf8").trimEnd().split("\n").slice(1);
  const steps = lines.map((line) => /^\s*([\d.]+|-)\s+(init|host)\s+(\S+): (.+)$/.exec(line));
  expect(steps.every((step) => step !== null)).toBe(true);
  const named = (about: string) => steps.find((step) => step?.[4] === about)?.[1];
  for (const about of ["mount proc at /proc", "enter the root by pivot_root", "mask /proc/keys"]) {
    expect(Number(named(about))).toBeGreaterThan(0);
  }
  // What follows the last wait is the program's own beginning.
  expect(named("execute echo")).toBe("-");
  // Every other step took some time, and together less than a minute.
  const total = steps.reduce((sum, step) => sum + (step?.[1] === "-" ? 0 : Number(step?.[1])), 0);
  expect(total).toBeGreaterThan(100);
  expect(total).toBeLessThan(60_000_000);
});

test("create traces up to where it waits for start", () => {
  const id = freshID();
  bundle.configure(["true"]);
  const file = join(bundle.path, "trace");
  expect(bundle.ctr("create", "--trace", file, "--bundle", bundle.path, id).code).toBe(0);
  bundle.ctr("delete", "--force", id);
  expect(readFileSync(file, "utf8")).toContain("process.args[0]: look up true");
});

test("a trace file that cannot be written is an error before anything is made", () => {
  bundle.configure(["true"]);
  const { code, err } = bundle.ctr("run", "--trace", "/nowhere/trace", "--bundle", bundle.path, freshID());
  expect(code).toBe(1);
  expect(err).toContain("/nowhere/trace");
});
