/** OCI exec: a further program in a running container. */
import type { CgroupJoin, DriverRegistry, Host } from "../driver.ts";
import { fail } from "../error.ts";
import { close, readlink } from "../kernel/file.ts";
import { NAMESPACES } from "../kernel/namespaces.ts";
import { tryPidfd } from "../kernel/process.ts";
import { catchSignals } from "../kernel/signal.ts";
import { readAnnotations } from "../plan/annotations.ts";
import { makeExecPlan } from "../plan/exec.ts";
import { makesNamespace } from "../plan/input.ts";
import type { Plan } from "../plan/step.ts";
import type { Process } from "../spec/runtime/config.ts";
import { applyPlan } from "./apply.ts";
import { attend } from "./attend.ts";
import { connectConsoleSocket, noConsole, takeConsole } from "./console.ts";
import { seccompOf, whyInit, writePidFile } from "./create.ts";
import { passwdIn, withHome } from "./customs.ts";
import { callersLimit } from "./facts.ts";
import { lastCapability } from "./host.ts";
import { type AgentsState, takeListener } from "./listener.ts";
import { whileKept } from "./lock.ts";
import { connectReceiver, type PidfdReceiver, sendPidfd } from "./pidfd-socket.ts";
import { type ExitStatus, explain } from "./run.ts";
import type { Death } from "./sigsys.ts";
import { type ContainerRecord, needRecord, statusOfRecord } from "./state.ts";
import { isPaused } from "./status.ts";
import { type SubCgroups, subCgroupPaths } from "./sub-cgroup.ts";

export interface ExecRequest {
  readonly root: string;
  readonly id: string;
  /** Complete: user, capabilities, environment and all (the caller takes them from the container's config). */
  readonly process: Process;
  readonly registry: DriverRegistry;
  readonly host: Host;
  readonly stdio?: readonly [number, number, number];
  readonly terminal?: "pass-through" | { readonly consoleSocket: string };
  readonly detach?: boolean;
  readonly preserveFds?: number;
  readonly pidFile?: string;
  /** Also where the container is paused: the program then waits until it is not. */
  readonly ignorePaused?: boolean;
  readonly pidfdReceiver?: PidfdReceiver;
  /** Unix socket of a seccomp agent, where the config names none: as in RUN_OCI_SECCOMP_RECEIVER. */
  readonly seccompReceiver?: string;
  /** Cgroups below the container's, to run in instead. */
  readonly cgroup?: SubCgroups;
  /** Gets what of the process was ignored, and why. */
  onWarning?(message: string): void;
  /** Gets the plan before it is carried out. */
  onPlan?(plan: Plan): void;
}

/**
 * Namespaces of a process that are not ours: setns(2) into one's own user namespace is EINVAL. One that cannot be looked at
 * is an error: what was to run in it would run in ours.
 */
function foreignNamespaces(pid: number): number {
  let flags = 0;
  for (const { file, flag } of Object.values(NAMESPACES)) {
    const path = `/proc/${pid}/ns/${file}`;
    const [theirs, ours] = [readlink(path), readlink(`/proc/self/ns/${file}`)];
    if (theirs === undefined && ours !== undefined) {
      throw fail({
        code: "WRONG_STATE",
        message: "cannot look at the container's namespaces",
        path,
        hint: "it has ended meanwhile, or is another user's; and what waits for start and has yet to load its seccomp filter is closed to an ordinary user: start it first",
      });
    }
    if (theirs !== ours) flags |= flag;
  }
  return flags;
}

/** Whether the container's root is that of a mount namespace of its own: else it was entered by chroot. */
function ownRoot({ config }: ContainerRecord): boolean {
  return makesNamespace(config, "mount");
}

function needRunning(request: ExecRequest, record: ContainerRecord, pidfd: number): ContainerRecord {
  const status = statusOfRecord(request.root, record);
  if (status === "stopped" || pidfd < 0) {
    throw fail({
      code: "WRONG_STATE",
      message: "cannot exec in a stopped container",
      hint: `start ${request.id} anew`,
    });
  }
  if (request.ignorePaused !== true && isPaused(record, request.registry)) {
    throw fail({
      code: "WRONG_STATE",
      message: "cannot exec in a paused container (use --ignore-paused to override)",
      hint: `resume ${request.id} first`,
    });
  }
  return record;
}

/** Runs the program; in the foreground until its end, else until it runs (`code` is then 0). */
export async function execInContainer(request: ExecRequest): Promise<ExitStatus & { readonly pid: number }> {
  const { pid, master, signals, death } = whileKept(request.root, request.id, () => {
    const found = needRecord(request.root, request.id);
    // Held first and looked at then: whatever has its number later is not entered.
    const init = tryPidfd(found.pid);
    try {
      return execBeside(request, needRunning(request, found, init), init);
    } finally {
      if (init >= 0) close(init);
    }
  });
  if (signals === undefined) {
    if (master !== undefined) close(master);
    return { code: 0, signal: undefined, oomKilled: false, pid };
  }
  const ending = attend(pid, signals, master);
  const why = explain(ending, { ...death, pid }, "the program");
  if (why !== undefined) request.onWarning?.(why);
  return { ...ending, oomKilled: false, pid, why };
}

/** A program that runs in a container. */
interface Begun {
  readonly pid: number;
  readonly master: number | undefined;
  /** From catchSignals(), in the foreground. */
  readonly signals: number | undefined;
  /** Of it, if SIGSYS ends it. */
  readonly death: Omit<Death, "pid">;
}

/** What a process has of the container's own where it says nothing itself, as in runc. */
function inherit(process: Process, container: Process | undefined): Process {
  if (container === undefined) return process;
  const scheduler = process.scheduler ?? container.scheduler;
  const ioPriority = process.ioPriority ?? container.ioPriority;
  const execCPUAffinity = process.execCPUAffinity ?? container.execCPUAffinity;
  const oomScoreAdj = process.oomScoreAdj ?? container.oomScoreAdj;
  const umask = process.user.umask ?? container.user.umask;
  return {
    ...process,
    ...(umask === undefined ? {} : { user: { ...process.user, umask } }),
    apparmorProfile: process.apparmorProfile || container.apparmorProfile,
    selinuxLabel: process.selinuxLabel || container.selinuxLabel,
    ...(scheduler === undefined ? {} : { scheduler }),
    ...(ioPriority === undefined ? {} : { ioPriority }),
    ...(execCPUAffinity === undefined ? {} : { execCPUAffinity }),
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
  };
}

/** The container's cgroup, or one below it: then, as in runc, never that of the init instead. */
function joinCgroup(
  { registry, host, cgroup }: ExecRequest,
  record: ContainerRecord,
): CgroupJoin | undefined {
  const { cgroupDriver, cgroupPaths, pid } = record;
  if (cgroupDriver === undefined) {
    if (cgroup === undefined) return undefined;
    throw fail({ code: "USAGE", field: "--cgroup", message: "the container has no cgroup" });
  }
  const driver = registry.get("cgroup", cgroupDriver);
  return cgroup === undefined
    ? driver.join(cgroupPaths, host, pid)
    : driver.join(cgroupPaths, host, undefined, subCgroupPaths(cgroupPaths, cgroup));
}

/** The state that a seccomp agent gets: that of the container, not of what exec runs. Pausing is none of runtime.md's. */
function agentsState(root: string, record: ContainerRecord): AgentsState {
  const { id, pid, bundle, config } = record;
  const now = statusOfRecord(root, record);
  const status = now === "paused" ? "running" : now;
  return { id, status, pid, bundle, annotations: config.annotations };
}

function execBeside(request: ExecRequest, record: ContainerRecord, init: number): Begun {
  const { host, registry, detach = false } = request;
  const process = withHome(
    inherit(request.process, record.config.process),
    passwdIn(`/proc/${record.pid}/root`),
  );
  const socketPath = typeof request.terminal === "object" ? request.terminal.consoleSocket : undefined;
  if (process.terminal === true && request.terminal === undefined) throw noConsole();
  const signals = detach ? undefined : catchSignals();
  const plan = makeExecPlan({
    id: request.id,
    process,
    linux: record.config.linux,
    seccomp: record.config.linux?.seccomp,
    host,
    registry,
    namespaces: foreignNamespaces(record.pid),
    cgroup: joinCgroup(request, record),
    resctrl: record.resctrl,
    facts: {
      nofile: callersLimit(),
      lastCapability: lastCapability(),
      seccomp: seccompOf(record.config, host, registry),
    },
    preserveFds: request.preserveFds ?? 0,
    noNewKeyring: record.noNewKeyring,
    wishes: readAnnotations(record.config),
    seccompReceiver: request.seccompReceiver,
    root: ownRoot(record) ? undefined : `/proc/${record.pid}/root`,
  });
  request.onPlan?.(plan);
  for (const warning of plan.warnings) request.onWarning?.(warning);
  let master: number | undefined;
  let consoleSocket: number | undefined;
  let receiver: number | undefined;
  let pid: number;
  const death = { since: Date.now(), profile: record.config.linux?.seccomp, registry };
  try {
    if (request.pidfdReceiver !== undefined) receiver = connectReceiver(request.pidfdReceiver);
    if (process.terminal === true && socketPath !== undefined)
      consoleSocket = connectConsoleSocket(socketPath);
    pid = applyPlan({
      plan,
      host,
      registry,
      until: "executing",
      whySigsys: (init) => whyInit({ ...death, pid: init }),
      stdio: request.stdio ?? [0, 1, 2],
      descriptors: { init },
      preserveFds: request.preserveFds ?? 0,
      onConsole: takeConsole(consoleSocket, (fd) => {
        master = fd;
      }),
      onListener: takeListener(plan, () => agentsState(request.root, record)),
      onCreated(created) {
        if (request.pidFile !== undefined) writePidFile(request.pidFile, created);
        if (receiver !== undefined) sendPidfd(receiver, created, "setns");
      },
    });
  } catch (error) {
    if (master !== undefined) close(master);
    throw error;
  } finally {
    for (const socket of [consoleSocket, receiver]) if (socket !== undefined) close(socket);
  }
  return { pid, master, signals, death };
}
