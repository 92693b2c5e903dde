/** OCI create, and the first half of run: everything is made, and the init waits (for start, or for ctr-bun's word). */

import type { DriverRegistry, Host, KillWatch, SeccompProgram } from "../driver.ts";
import { asCtrError } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_CREAT, O_TRUNC, O_WRONLY } from "../kernel/constants.ts";
import { close, open, openDirectory, replaceFile } from "../kernel/file.ts";
import { sys } from "../kernel/raw.ts";
import { listenUnix } from "../kernel/socket.ts";
import { readAnnotations } from "../plan/annotations.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { madeCgroups } from "./act.ts";
import { applyPlan } from "./apply.ts";
import { identifyCgroup } from "./cgroup-identity.ts";
import { connectConsoleSocket, noConsole, takeConsole } from "./console.ts";
import { missingCgroups, noteCreating } from "./creating.ts";
import { runPoststop } from "./delete.ts";
import { runHooks } from "./hooks.ts";
import { watchKills } from "./kills.ts";
import { lateSteps } from "./late-calls.ts";
import { takeListener } from "./listener.ts";
import { holdDirectory, whileHeld } from "./lock.ts";
import type { Notifications } from "./notify.ts";
import { connectReceiver, type PidfdReceiver, sendPidfd } from "./pidfd-socket.ts";
import { type ContainerRequest, prepare } from "./prepare.ts";
import type { OwnAgent } from "./seccomp-agent.ts";
import type { Death } from "./sigsys.ts";
import {
  type ContainerRecord,
  checkID,
  claimID,
  noContainer,
  processStat,
  removeState,
  writeRecord,
} from "./state.ts";

/** A container that was made. `master` is its terminal's other side, where no socket took it. */
export interface Made {
  readonly pid: number;
  readonly record: ContainerRecord;
  readonly kills: KillWatch;
  readonly master: number | undefined;
  /** What the program says to the service manager, where there is one, of a container that runs. */
  readonly notifications: Notifications | undefined;
}

/** Why SIGSYS ended an init: loaded only after such a death. */
export function whyInit(death: Death): string {
  const { whySigsys } = require("./sigsys.ts") as typeof import("./sigsys.ts");
  return whySigsys(death, "it");
}

/** Loaded only where somebody is to be told. */
export function notifyModule(): typeof import("./notify.ts") {
  return require("./notify.ts") as typeof import("./notify.ts");
}

/** The filter of a config, if it has one; undefined where the plan is to have it compiled. */
export function seccompOf(
  { linux }: RuntimeConfig,
  host: Host,
  registry: DriverRegistry,
): SeccompProgram | undefined {
  if (linux?.seccomp === undefined) return undefined;
  const { keptProgram } = require("./seccomp-cache.ts") as typeof import("./seccomp-cache.ts");
  return keptProgram(linux.seccomp, host, registry);
}

/**
 * What must be there before anything is made: the plan, whoever is to get something, and the ID, last. With a notify
 * socket the ID comes first, since the plan mounts a directory of its state; it is given back where the rest fails.
 */
function makeReady(request: ContainerRequest, until: "created" | "executing", ownAgent: boolean) {
  const { root, id, notifySocket } = request;
  const wantsTerminal = request.config.process?.terminal === true;
  const socketPath = typeof request.terminal === "object" ? request.terminal.consoleSocket : undefined;
  if (wantsTerminal && request.terminal === undefined) throw noConsole();
  const notifies = notifySocket !== undefined && notifyModule().canHaveNotifySocket(request.config);
  if (notifySocket !== undefined && !notifies) {
    request.onWarning?.("NOTIFY_SOCKET is left out: the container has no mount namespace of its own");
  }
  const claimed = notifies ? claim(root, id) : undefined;
  try {
    // The plan takes its time, and a directory without a note would be taken for left behind.
    if (claimed !== undefined) noteCreating(root, id, { cgroupPaths: {}, cgroupDriver: undefined });
    let { config } = request;
    if (claimed !== undefined) {
      notifyModule().makeNotifyDirectory(claimed.directory);
      config = notifyModule().withNotifySocket(config, claimed.directory);
    }
    const { plan, facts } = prepare(
      { ...request, config },
      until === "created" ? "wait" : "go",
      ownAgent,
      seccompOf(config, request.host, request.registry),
    );
    request.onPlan?.(plan);
    for (const warning of plan.warnings) request.onWarning?.(warning);
    const consoleSocket =
      wantsTerminal && socketPath !== undefined ? connectConsoleSocket(socketPath) : undefined;
    const receivers = pidfdReceivers(request).map(connectReceiver);
    const { directory, held } = claimed ?? claim(root, id);
    const notifications =
      until === "executing" && notifies ? notifyModule().listenForReady(directory, notifySocket) : undefined;
    return { plan, facts, consoleSocket, receivers, directory, held, notifications };
  } catch (error) {
    if (claimed !== undefined) giveBack(root, id, claimed.held);
    throw error;
  }
}

/** The ID's directory, and a descriptor of it. Throws NO_CONTAINER where it was deleted right away. */
function claim(root: string, id: string): { directory: string; held: number } {
  const directory = claimID(root, id);
  try {
    return { directory, held: holdDirectory(root, id) };
  } catch (thrown) {
    if (asCtrError(thrown).errno === "ENOENT") throw noContainer(root, id);
    throw thrown;
  }
}

/** What was deleted meanwhile may be another container's by now. */
function takeBack(root: string, id: string, held: number): void {
  whileHeld(root, id, held, () => removeState(root, id));
}

function giveBack(root: string, id: string, held: number): void {
  takeBack(root, id, held);
  close(held);
}

/** Makes a container up to the point where its program is next; undone whole when anything fails. */
export function makeContainer(
  request: ContainerRequest,
  until: "created" | "executing",
  agent?: OwnAgent,
): Made {
  const { root, id, config, bundle, host, registry } = request;
  checkID(id);
  const since = Date.now();
  const ready = makeReady(request, until, agent !== undefined);
  const { plan, facts, consoleSocket, receivers, directory, held, notifications } = ready;
  let start: number | undefined;
  let master: number | undefined;
  let record: ContainerRecord | undefined;
  let kills: KillWatch | undefined;
  let cgroupIdentity: ContainerRecord["cgroupIdentity"];
  /** Due once there was a process, whatever fails after that (runtime.md, "Lifecycle"). */
  let poststop: Pick<ContainerRecord, "id" | "bundle" | "config"> | undefined;
  try {
    noteCreating(root, id, { ...plan, cgroupPaths: missingCgroups(plan.cgroupPaths) });
    if (until === "created") start = listenAt(directory);
    const hookState = (pid: number) => ({
      id,
      status: "creating" as const,
      pid,
      bundle,
      annotations: config.annotations,
    });
    const pid = applyPlan({
      onMade(directories) {
        const cgroupPaths = madeCgroups(plan.cgroupPaths, directories);
        cgroupIdentity = identifyCgroup(registry, plan);
        // Somebody else may have made one in between, and a later one must not be taken for this.
        if (cgroupIdentity !== undefined) noteCreating(root, id, { ...plan, cgroupPaths, cgroupIdentity });
        kills = watchKills(registry, plan);
      },
      oomKills: () => kills?.count() ?? 0,
      plan,
      host,
      registry,
      until,
      stdio: request.stdio ?? [0, 1, 2],
      ...(start === undefined ? {} : { descriptors: { start } }),
      preserveFds: request.preserveFds ?? 0,
      hooks: config.hooks,
      whySigsys: (pid) => whyInit({ pid, since, profile: config.linux?.seccomp, registry }),
      ...(request.onTrace === undefined ? {} : { onTrace: request.onTrace }),
      onPid() {
        poststop = { id, bundle, config };
      },
      runHooks(name, hooks, pid) {
        poststop = { id, bundle, config };
        runHooks(name, hooks, hookState(pid));
      },
      onConsole: takeConsole(consoleSocket, (fd) => {
        master = fd;
      }),
      ...(agent === undefined ? {} : { heard: [agent] }),
      onListener: takeListener(plan, hookState, agent),
      onCreated(pid, program, steps) {
        record = {
          version: 1,
          id,
          pid,
          started: processStat(pid)?.started ?? "",
          bundle,
          rootfs: facts.rootfs,
          created: new Date().toISOString(),
          cgroupPaths: plan.cgroupPaths,
          cgroupDriver: plan.cgroupDriver,
          ...(cgroupIdentity === undefined ? {} : { cgroupIdentity }),
          ...(plan.resctrl === undefined ? {} : { resctrl: plan.resctrl }),
          config,
          noNewKeyring: request.noNewKeyring ?? false,
          ...(until === "created" ? { late: lateSteps(program, steps) } : {}),
        };
        writeRecord(root, record);
        if (request.pidFile !== undefined) writePidFile(request.pidFile, pid);
        for (const receiver of receivers) sendPidfd(receiver, pid, "standard");
        request.onCreated?.(pid);
      },
    });
    if (record === undefined || kills === undefined) throw new Error("the init did not wait");
    return { pid, record, master, notifications, kills };
  } catch (error) {
    kills?.close();
    if (master !== undefined) close(master);
    agent?.end();
    notifications?.close();
    takeBack(root, id, held);
    if (poststop !== undefined) runPoststop(poststop);
    throw error;
  } finally {
    close(held);
    if (start !== undefined) close(start);
    if (consoleSocket !== undefined) close(consoleSocket);
    for (const receiver of receivers) close(receiver);
  }
}

/** Of the flag, and of crun's annotation. */
function pidfdReceivers({ pidfdReceiver, config }: ContainerRequest): PidfdReceiver[] {
  const { pidfdReceiver: path } = readAnnotations(config);
  const field = 'annotations["run.oci.pidfd_receiver"]';
  return [
    ...(pidfdReceiver === undefined ? [] : [pidfdReceiver]),
    ...(path === undefined ? [] : [{ path, field }]),
  ];
}

/** Listens at DIRECTORY/s, through the directory's descriptor: the path may be too long for a socket's name. */
function listenAt(directory: string): number {
  const fd = openDirectory(directory);
  try {
    return listenUnix(`/proc/self/fd/${fd}/s`);
  } finally {
    close(fd);
  }
}

/** As runc: the number alone, without a newline, whole or not at all. */
export function writePidFile(path: string, pid: number): void {
  const bytes = new TextEncoder().encode(`${pid}`);
  if (path.startsWith("/dev/")) {
    const fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
    check(sys("write", fd, bytes, bytes.byteLength), { syscall: "write", path });
    close(fd);
  } else replaceFile(path, bytes, 0o644, false);
}

/** OCI create: returns when the container is made; its program waits for start. */
export async function createContainer(request: ContainerRequest): Promise<{ pid: number }> {
  const { pid, master, kills } = makeContainer(request, "created");
  kills.close();
  if (master !== undefined) close(master);
  return { pid };
}
