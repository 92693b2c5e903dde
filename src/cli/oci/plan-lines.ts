/** A plan as lines of the log of --debug. Loaded whole only where they are wanted. */
import type { Plan } from "../../plan/step.ts";

/** A line for each step: who carries it out, the property that asks for it, and what it does. */
export function planLines(plan: Plan): string[] {
  const { recordPlan } = require("../../plan/record.ts") as typeof import("../../plan/record.ts");
  return recordPlan(plan, false).trimEnd().split("\n");
}
