/** Hooks that run before the program does. Poststart and poststop are the lifecycle's (runtime/). */
import { fail } from "../error.ts";
import type { PlanInput } from "./input.ts";
import { syncStep } from "./rows.ts";
import type { Step } from "./step.ts";

/** Hooks of the runtime namespace, while the mounts stand and the old root is still there. */
export function hookSteps({ config }: PlanInput): Step[] {
  const { prestart = [], createRuntime = [], createContainer = [], startContainer = [] } = config.hooks ?? {};
  for (const [name, hooks] of [
    ["createContainer", createContainer],
    ["startContainer", startContainer],
  ] as const) {
    if (hooks.length === 0) continue;
    throw fail({
      code: "UNSUPPORTED",
      field: `hooks.${name}`,
      message: "hooks in the container's namespaces are not supported yet",
      hint: "use createRuntime, poststart or poststop",
    });
  }
  if (prestart.length + createRuntime.length === 0) return [];
  const steps: Step[] = [syncStep("mounts", "hooks", "wait for the hooks of the runtime namespace")];
  for (const [name, hooks] of [
    ["prestart", prestart],
    ["createRuntime", createRuntime],
  ] as const) {
    if (hooks.length === 0) continue;
    const action = { do: "hooks" as const, name, hooks };
    steps.push({ on: "host", field: `hooks.${name}`, about: `run ${hooks.length} ${name} hooks`, action });
  }
  return steps;
}
