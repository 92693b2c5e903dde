/**
 * Carries a plan out for real: host steps in ctr-bun, init steps in the init, the two held together by the report
 * channel. An error undoes what was made. Not here: what a plan says (plan/), state on disk (state.ts).
 */
import type { DriverRegistry, Host } from "../driver.ts";
import { asCtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { close } from "../kernel/file.ts";
import { executableMemfd } from "../kernel/memfd.ts";
import { viewOf } from "../kernel/memory.ts";
import { printError } from "../kernel/output.ts";
import { spawn, tryKill, tryPidfd, waitPid } from "../kernel/process.ts";
import { sys } from "../kernel/raw.ts";
import { SIGKILL, SIGSYS } from "../kernel/signal.ts";
import { receive, socketPair } from "../kernel/socket.ts";
import { type MachineProgram, writeProgram } from "../machine/program.ts";
import { DESCRIPTOR, REPORT, REPORT_SIZE, syncPointOf } from "../machine/report.ts";
import type { HostStep, InitStep, Plan, Step, SyncPoint } from "../plan/step.ts";
import type { Hook, Hooks } from "../spec/runtime/hooks.ts";
import { actAll, closeAll, madeCgroups, removeMade, stillOurs } from "./act.ts";
import { initFailure, initGone } from "./failure.ts";
import { type Heard, waitHearing } from "./hearing.ts";
import type { HookEar } from "./hook-ear.ts";
import type { HostContext } from "./host-context.ts";
import { endLostChild, hasReport } from "./lost-child.ts";
import type { StepTime } from "./trace.ts";

/** What a plan is carried out with. */
export interface ApplyRequest {
  readonly plan: Plan;
  readonly host: Host;
  readonly registry: DriverRegistry;
  readonly stdio: readonly [number, number, number];
  /** More descriptors that the init inherits, by name (`start`), and under their own numbers. */
  readonly descriptors?: Readonly<Record<string, number>>;
  readonly preserveFds?: number;
  /** These directories were made, and nothing else of what is in the way: before the container's process exists. */
  onMade?(directories: readonly string[]): void;
  /** The container's process exists; it goes on meanwhile. */
  onPid?(pid: number): void;
  /** How many processes of the container were killed for memory so far. */
  oomKills?(): number;
  /** Everything is made and the program has not started: state.json says created. */
  onCreated?(pid: number, program: MachineProgram, steps: readonly InitStep[]): void;
  /** The terminal's other side, which the init sent. */
  onConsole?(fd: number): void;
  /**
   * The listener of the plan's seccomp filter; the init waits meanwhile, and `fd` is closed then. What it returns makes
   * the error of an init that is kept waiting for an answer, instead of being made.
   */
  onListener?(fd: number, pid: number): (() => Error) | undefined;
  /** Who else has to be heard all the time. */
  readonly heard?: readonly Heard[];
  /** Why SIGSYS ended the init with this pid, in words. */
  whySigsys?(pid: number): string;
  runHooks?(name: string, hooks: readonly Hook[], pid: number): void;
  /** Those that the init runs itself among them. */
  readonly hooks?: Hooks | undefined;
  /** Asks for the time of every step, and gets it, in the plan's order, once the point in `until` is reached. */
  onTrace?(times: StepTime[]): void;
  /** `created`: return then, the init waits for start; `executing`: return once the program runs. */
  readonly until: "created" | "executing";
}

/** Host steps by when they are due. */
type Due = ReadonlyMap<"before" | SyncPoint, HostStep[]>;

function sort(plan: Plan): { init: InitStep[]; due: Due } {
  const init: InitStep[] = [];
  let now: HostStep[] = [];
  const due = new Map<"before" | SyncPoint, HostStep[]>([["before", now]]);
  for (const step of plan.steps) {
    if (step.on === "host") now.push(step);
    else {
      init.push(step);
      if (step.sync !== undefined) {
        now = [];
        due.set(step.sync, now);
      }
    }
  }
  return { init, due };
}

/** Carries the plan out and returns the pid of the container's process. */
export function applyPlan(request: ApplyRequest): number {
  const { init: untimed, due } = sort(request.plan);
  const trace = request.onTrace === undefined ? undefined : tracer();
  const init = trace === undefined ? untimed : trace.withClock(untimed);
  const times = new Map<Step, number | undefined>();
  const context: HostContext = {
    registry: request.registry,
    arch: request.host.arch,
    channel: undefined,
    descriptors: {},
    received: [],
    made: [],
    inodes: new Map(),
    undo: [],
    stage0: undefined,
    pid: undefined,
    runHooks: (name, hooks) => request.runHooks?.(name, hooks, context.pid ?? 0),
    onTime: trace === undefined ? undefined : (step, nanoseconds) => times.set(step, nanoseconds),
  };
  try {
    actAll(due.get("before") ?? [], context);
    if (!due.has("cgroup")) request.onMade?.(context.made);
    const { program, channel, pid } = start(request, init, context);
    context.stage0 = pid;
    context.channel = channel;
    const pidfd = tryPidfd(pid);
    const ear = containerEar(request.hooks);
    try {
      const made = converse(request, { program, channel, init, due, context, pidfd, ear }, (report) => {
        trace?.readTimes(untimed, report).forEach(({ step, nanoseconds }) => {
          times.set(step, nanoseconds);
        });
      });
      request.onTrace?.(request.plan.steps.map((step) => ({ step, nanoseconds: times.get(step) })));
      return made;
    } finally {
      if (pidfd >= 0) close(pidfd);
      close(channel);
      ear?.end();
    }
  } catch (error) {
    undo(request, context);
    throw error;
  } finally {
    closeAll(context);
  }
}

/** Loaded only where times are asked for. */
function tracer(): typeof import("./trace.ts") {
  return require("./trace.ts") as typeof import("./trace.ts");
}

/** Loaded only where the init itself has hooks to run. */
function containerEar(hooks: Hooks | undefined): HookEar | undefined {
  const { createContainer = [], startContainer = [] } = hooks ?? {};
  if (createContainer.length + startContainer.length === 0) return undefined;
  const { hookEar } = require("./hook-ear.ts") as typeof import("./hook-ear.ts");
  return hookEar(hooks);
}

/** Ends the init and takes away what was made. What cannot be taken away is not the error. */
function undo({ plan, registry }: ApplyRequest, context: HostContext): void {
  if (context.pid === undefined && context.stage0 !== undefined) endLostChild(context.stage0);
  for (const pid of [context.pid, context.stage0]) {
    if (pid === undefined) continue;
    tryKill(pid, 9);
    waitPid(pid);
  }
  const own = madeCgroups(plan.cgroupPaths, stillOurs(context));
  if (plan.cgroupDriver !== undefined && Object.keys(own).length > 0) {
    try {
      const driver = registry.get("cgroup", plan.cgroupDriver);
      // Without a pid namespace of the container's own, what a hook has left running outlives the init.
      if (driver.processes(own).length > 0) driver.killAll(own, SIGKILL);
      // Waits for what still ends in it, as a mere rmdir does not.
      driver.remove(own);
    } catch (error) {
      printError(`ctr-bun: warning: ${asCtrError(error).message}\n`);
    }
  }
  removeMade(context);
}

function start(
  { host, stdio, descriptors, preserveFds = 0 }: ApplyRequest,
  init: readonly InitStep[],
  context: HostContext,
): { program: MachineProgram; channel: number; pid: number } {
  const [channel, first] = socketPair();
  // The init closes what lies between the descriptors that it keeps (plan/close.ts): the start socket comes first.
  const report = above(first, descriptors?.start);
  try {
    const all = { ...context.descriptors, ...descriptors, report };
    const program = writeProgram({ steps: init, arch: host.arch, descriptors: all });
    const memfd = executableMemfd("init", program.elf);
    try {
      const inherit = Object.values(all);
      for (let fd = 3; fd < 3 + preserveFds; fd++) inherit.push(fd);
      const pid = spawn({ program: memfd, argv: ["init"], env: [], stdio, inherit });
      return { program, channel, pid };
    } finally {
      close(memfd);
    }
  } catch (error) {
    close(channel);
    throw error;
  } finally {
    close(report);
  }
}

/** The descriptor, or a copy of it with a number above another one's. */
function above(fd: number, other: number | undefined): number {
  if (other === undefined || fd > other) return fd;
  const copy = check(sys("fcntl", fd, F_DUPFD_CLOEXEC, other + 1), { syscall: "fcntl" });
  close(fd);
  return copy;
}

interface Conversation {
  readonly program: MachineProgram;
  readonly channel: number;
  readonly init: readonly InitStep[];
  readonly due: Due;
  readonly context: HostContext;
  /** Of stage 0. */
  readonly pidfd: number;
  readonly ear: HookEar | undefined;
}

const GO = new Uint8Array(8);
/** How long an agent may keep the init waiting before it is made, in milliseconds. */
const AGENTS_TIME = 30_000;

/** Listens to the init until the point that was asked for. */
function converse(
  request: ApplyRequest,
  { program, channel, init, due, context, pidfd, ear }: Conversation,
  onTimes: (report: Uint8Array) => void,
): number {
  const data = new Uint8Array(request.onTrace === undefined ? REPORT_SIZE : 16 * (init.length + 2));
  const view = viewOf(data);
  const heard = [...(ear === undefined ? [] : [ear]), ...(request.heard ?? [])];
  let executing = false;
  let created = false;
  /** What is wrong where an agent keeps it waiting. */
  let silent: (() => Error) | undefined;
  // The child may reach a sync point before stage 0 has said what the child's pid is.
  let early: SyncPoint | undefined;
  /** Whether this was the point that was asked for. */
  const reach = (point: SyncPoint): boolean => {
    actAll(due.get(point) ?? [], context);
    if (point === "cgroup") request.onMade?.(context.made);
    if (point === "created" && context.pid !== undefined) {
      created = true;
      silent = undefined;
      request.onCreated?.(context.pid, program, init);
    }
    const { word = GO } = context;
    context.word = undefined;
    sys("write", channel, word, word.byteLength);
    return point === request.until;
  };
  const giveListener = (): void => {
    const { listener, pid } = context;
    if (listener === undefined || pid === undefined) return;
    const error = request.onListener?.(listener, pid);
    // The agent alone is to have it: with a copy here its end would not be noticed.
    close(listener);
    context.listener = undefined;
    if (!created) silent = error;
    sys("write", channel, GO, GO.byteLength);
  };
  for (;;) {
    // Until the pid is known the child may hold the channel open with nobody left to tell of it.
    if (context.pid === undefined && !hasReport(channel, pidfd)) throw gone(request, context);
    if (!waitHearing(channel, heard, silent === undefined ? undefined : AGENTS_TIME) && silent !== undefined)
      throw silent();
    const { length, fd } = receive(channel, data);
    if (length <= 0) {
      if (executing && context.pid !== undefined && length === 0) return context.pid;
      throw gone(request, context);
    }
    const [kind, a, b] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
    const point = kind === REPORT.sync ? syncPointOf(a, b) : undefined;
    let reached = false;
    if (kind === REPORT.pid) {
      context.pid = a;
      if (context.stage0 !== undefined) waitPid(context.stage0);
      context.stage0 = undefined;
      actAll(due.get("pid") ?? [], context);
      request.onPid?.(a);
      giveListener();
      if (early !== undefined) reached = reach(early);
    } else if (point !== undefined) {
      if (context.pid === undefined && point !== "maps" && point !== "cgroup") early = point;
      else reached = reach(point);
    } else if (kind === REPORT.descriptor && fd !== undefined) {
      if (a === DESCRIPTOR.tmpfs || a === DESCRIPTOR.covered) context.received.push(fd);
      else if (ear?.takes(a) === true) ear.begin(a, b, fd);
      else if (a === DESCRIPTOR.seccomp) {
        context.listener = fd;
        giveListener();
      } else request.onConsole?.(fd);
    } else if (kind === REPORT.hook && ear !== undefined) throw ear.failure(a, b);
    else if (kind === REPORT.times) onTimes(data.slice(0, length));
    else if (kind === REPORT.executing) executing = true;
    else if (kind === REPORT.failure) throw initFailure(program, init, a, b);
    else throw fail({ code: "INTERNAL", message: `the init sent a report of unknown kind ${kind}` });
    if (reached && context.pid !== undefined) return context.pid;
  }
}

/** The init ended without a report: how, from its wait status. */
function gone({ oomKills, whySigsys }: ApplyRequest, context: HostContext): Error {
  const pid = context.pid ?? context.stage0;
  if (pid === undefined) return initGone(undefined, false);
  if (pid === context.stage0) endLostChild(pid);
  // Its channel is closed: it has ended, or is about to, but for one that a filter keeps from ending.
  const ended = waitPid(pid, true);
  if (ended === undefined) tryKill(pid, 9);
  const ending = ended ?? waitPid(pid);
  context.pid = undefined;
  context.stage0 = undefined;
  const forMemory = ending?.signal === SIGKILL && (oomKills?.() ?? 0) > 0;
  return initGone(ending?.signal, forMemory, ending?.signal === SIGSYS ? whySigsys?.(pid) : undefined);
}
