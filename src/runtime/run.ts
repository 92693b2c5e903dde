/** OCI run: create and start in one, and, in the foreground, everything until the container is gone again. */
import { close } from "../kernel/file.ts";
import { catchSignals } from "../kernel/signal.ts";
import { attend } from "./attend.ts";
import { becomeSubreaper, makeContainer } from "./create.ts";
import { removeContainer } from "./delete.ts";
import { runHooks } from "./hooks.ts";
import type { ContainerRequest } from "./prepare.ts";

/** How a program ended. `code` is as shells see it: 128 and the signal's number for a signal. */
export interface ExitStatus {
  readonly code: number;
  readonly signal: number | undefined;
  readonly oomKilled: boolean;
}

function poststart(request: ContainerRequest, pid: number): void {
  const { poststart: hooks } = request.config.hooks ?? {};
  if (hooks === undefined || hooks.length === 0) return;
  const { id, bundle, config } = request;
  runHooks("poststart", hooks, { id, status: "running", pid, bundle, annotations: config.annotations });
}

/** Runs in the foreground: passes signals and the terminal on, waits, and takes the container away (unless `keep`). */
export async function runContainer(
  request: ContainerRequest & { readonly keep?: boolean },
): Promise<ExitStatus> {
  const signals = catchSignals();
  becomeSubreaper();
  const { pid, record, master } = makeContainer(request, "executing");
  poststart(request, pid);
  const ending = attend(pid, signals, master);
  const { cgroupDriver, cgroupPaths } = record;
  const killed = ending.signal === 9 && cgroupDriver !== undefined;
  const oomKilled = killed && request.registry.get("cgroup", cgroupDriver).oomKills(cgroupPaths) > 0;
  if (request.keep !== true) removeContainer(request.registry, request.root, record);
  return { ...ending, oomKilled };
}

/** Runs in the background: returns the pid once the program runs. */
export async function runDetached(request: ContainerRequest): Promise<{ pid: number }> {
  const { pid, master } = makeContainer(request, "executing");
  if (master !== undefined) close(master);
  poststart(request, pid);
  return { pid };
}
