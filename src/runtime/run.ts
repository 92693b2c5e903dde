/** OCI run: create and start in one, and, in the foreground, everything until the container is gone again. */
import { close } from "../kernel/file.ts";
import { adoptOrphans, type Ending } from "../kernel/process.ts";
import { catchChildSignals, catchSignals, SIGKILL, SIGSYS } from "../kernel/signal.ts";
import { makesNamespace } from "../plan/input.ts";
import { attend } from "./attend.ts";
import { makeContainer, notifyModule } from "./create.ts";
import { removeContainer } from "./delete.ts";
import { runPoststart } from "./poststart.ts";
import type { ContainerRequest } from "./prepare.ts";
import type { AnswerCalls } from "./seccomp-agent.ts";
import type { Death } from "./sigsys.ts";
import type { ContainerRecord } from "./state.ts";

/** How a program ended. `code` is as shells see it: 128 and the signal's number for a signal. */
export interface ExitStatus {
  readonly code: number;
  readonly signal: number | undefined;
  readonly oomKilled: boolean;
  /** Of one that SIGSYS ended: the call, what forbids it, and how to allow it. */
  readonly why?: string | undefined;
}

/** Loaded only where calls are to be answered. */
function agentModule(): typeof import("./seccomp-agent.ts") {
  return require("./seccomp-agent.ts") as typeof import("./seccomp-agent.ts");
}

/** Poststart hooks; where one fails nothing is left of the container. */
function started({ registry, root }: ContainerRequest, record: ContainerRecord): void {
  try {
    runPoststart(record);
  } catch (error) {
    removeContainer(registry, root, record);
    throw error;
  }
}

/** Whether what the program leaves behind can become somebody else's child: not in a pid namespace of its own. */
function leavesOrphans({ config }: ContainerRequest): boolean {
  return !makesNamespace(config, "pid");
}

/**
 * Runs in the foreground: passes signals and the terminal on, waits, and takes the container away (unless `keep`). With
 * `subreaper` the container's orphans become ctr-bun's children until then, and are waited for.
 */
export async function runContainer(
  request: ContainerRequest & {
    readonly keep?: boolean;
    readonly subreaper?: boolean;
    /** Answers the calls that linux.seccomp has SCMP_ACT_NOTIFY for, whatever it says of listeners. */
    readonly answerCalls?: AnswerCalls;
  },
): Promise<ExitStatus> {
  const adopts = request.subreaper === true && leavesOrphans(request);
  const signals = catchSignals();
  const since = Date.now();
  const agent = request.answerCalls === undefined ? undefined : agentModule().ownAgent(request.answerCalls);
  const { pid, record, master, notifications, kills } = makeContainer(request, "executing", agent);
  let ending: Ending;
  let oomKilled: boolean;
  try {
    if (adopts) adoptOrphans();
    started(request, record);
    // Only now: hooks are waited for one by one.
    ending = attend(pid, adopts ? catchChildSignals() : signals, master, { notifications, agent, kills });
    oomKilled = ending.signal === SIGKILL && kills.count() > 0;
  } finally {
    kills.close();
  }
  if (request.keep !== true) removeContainer(request.registry, request.root, record);
  const { registry, config } = request;
  const why = explain(
    ending,
    { pid, since, profile: config.linux?.seccomp, registry },
    "the container's program",
  );
  if (why !== undefined) request.onWarning?.(why);
  return { ...ending, oomKilled, why };
}

/** Why SIGSYS ended a program, or one of its children; the kernel's log is read in that case only. */
export function explain(ending: Ending, death: Death, who: string): string | undefined {
  if (ending.code !== 128 + SIGSYS) return undefined;
  const { whyCode, whySigsys } = require("./sigsys.ts") as typeof import("./sigsys.ts");
  return ending.signal === SIGSYS ? whySigsys(death, who) : whyCode(death);
}

/** Runs in the background: returns the pid once the program runs, and is ready where somebody is to be told so. */
export async function runDetached(request: ContainerRequest): Promise<{ pid: number }> {
  const { pid, record, master, notifications, kills } = makeContainer(request, "executing");
  kills.close();
  if (master !== undefined) close(master);
  started(request, record);
  if (notifications !== undefined) notifyModule().waitForReady(notifications, pid);
  return { pid };
}
