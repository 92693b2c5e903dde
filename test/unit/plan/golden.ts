/** Compares plans with what was recorded of them in spec-fixtures/plans. `UPDATE_GOLDEN=1` writes the records anew. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { recordPlan } from "../../../src/plan/record.ts";
import type { Plan } from "../../../src/plan/step.ts";

const FOLDER = resolve(import.meta.dir, "../../../spec-fixtures/plans");

/** One test for each: name of the record, and the plan. */
export function goldenPlans(plans: Readonly<Record<string, () => Plan>>): void {
  for (const [name, plan] of Object.entries(plans)) {
    test(`the plan ${name} is as recorded`, () => {
      const path = join(FOLDER, `${name}.txt`);
      const text = recordPlan(plan());
      if (process.env.UPDATE_GOLDEN === "1") writeFileSync(path, text);
      expect(existsSync(path)).toBe(true);
      expect(text).toBe(readFileSync(path, "utf8"));
    });
  }
}
