/** Hooks that run once the program does, before start (or run) is over. Where one fails the container is stopped. */
import { killInit } from "./delete.ts";
import { runHooks } from "./hooks.ts";
import type { ContainerRecord } from "./state.ts";

/** Runs them. The failure of one ends the program (runtime.md, "Lifecycle", step 9), and is the error. */
export function runPoststart(record: ContainerRecord): void {
  const { id, pid, bundle, config } = record;
  const hooks = config.hooks?.poststart ?? [];
  if (hooks.length === 0) return;
  try {
    runHooks("poststart", hooks, { id, status: "running", pid, bundle, annotations: config.annotations });
  } catch (error) {
    killInit(record);
    throw error;
  }
}
