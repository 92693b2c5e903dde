/**
 * Hooks that run before the program does, in their order (runtime.md, "Lifecycle"). Not here: the rows of those that the
 * init runs itself (container-hooks.ts). Poststart and poststop are the lifecycle's (runtime/).
 */

import { syncNumbers } from "../machine/report.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { containerHookSteps, HOOK_PID } from "./container-hooks.ts";
import { makesNamespace, type PlanInput } from "./input.ts";
import { CALLERS_UMASK, DEFAULT_UMASK } from "./program.ts";
import { ORPHANED, report, row, syncStep } from "./rows.ts";
import type { InitStep, Step } from "./step.ts";

/** The slot for the caller's umask: hooks that run before the program's own is set have it, as in runc. */
export function callersUmask({ hooks }: Pick<RuntimeConfig, "hooks">): string | undefined {
  return (hooks?.createContainer ?? []).length > 0 ? CALLERS_UMASK : undefined;
}

/** Whether the container's process is the first of a pid namespace: its own number is then known to be 1. */
function isFirst({ config }: PlanInput): boolean {
  return makesNamespace(config, "pid");
}

/** Waits for ctr-bun, whose word is the pid as the container sees it. */
function pidStep(): InitStep {
  return {
    on: "init",
    field: "hooks",
    about: "wait for the hooks of the runtime namespace, and for the pid",
    sync: "mounts",
    buffers: { [HOOK_PID]: 8 },
    rows: [
      report("sync", ...syncNumbers("mounts")),
      row("read", [{ fd: "report" }, { at: HOOK_PID }, 8], { store: `${HOOK_PID} length`, onZero: ORPHANED }),
    ],
  };
}

/** Those of the runtime namespace and createContainer, while the mounts stand and the old root is still there. */
export function createHookSteps(input: PlanInput): Step[] {
  const {
    prestart = [],
    createRuntime = [],
    createContainer = [],
    startContainer = [],
  } = input.config.hooks ?? {};
  const steps: Step[] = [];
  const tellPid = createContainer.length + startContainer.length > 0 && !isFirst(input);
  if (tellPid) steps.push(pidStep());
  else if (prestart.length + createRuntime.length > 0)
    steps.push(syncStep("mounts", "hooks", "wait for the hooks of the runtime namespace"));
  for (const [name, hooks] of [
    ["prestart", prestart],
    ["createRuntime", createRuntime],
  ] as const) {
    if (hooks.length === 0) continue;
    const action = { do: "hooks" as const, name, hooks };
    steps.push({ on: "host", field: `hooks.${name}`, about: `run ${hooks.length} ${name} hooks`, action });
  }
  if (tellPid) steps.push({ on: "host", field: "hooks", about: "tell the pid", action: { do: "tell-pid" } });
  steps.push(
    ...containerHookSteps(input, {
      kind: "createContainer",
      umask: CALLERS_UMASK,
      first: isFirst(input),
      limits: [],
    }),
  );
  return steps;
}

/**
 * StartContainer hooks: everything is as the program will find it, its user, rights and filter too, and the limits that
 * the init itself does without to the end.
 */
export function startHookSteps(input: PlanInput, limits: readonly InitStep[]): InitStep[] {
  const umask = input.config.process?.user.umask ?? DEFAULT_UMASK;
  const rows = limits.flatMap((step) => step.rows);
  return containerHookSteps(input, { kind: "startContainer", umask, first: isFirst(input), limits: rows });
}
