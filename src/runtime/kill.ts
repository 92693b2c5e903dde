/** OCI kill: a signal to the container's process, or to all in its cgroup. */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { POLLIN } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { tryPidfd, trySignal } from "../kernel/process.ts";
import { SIGKILL } from "../kernel/signal.ts";
import { ownCgroups } from "./cgroup-identity.ts";
import { whileKept } from "./lock.ts";
import { type ContainerRecord, needRecord, statusOfRecord } from "./state.ts";
import { hasOwnPids, isPaused } from "./status.ts";

export interface KillRequest {
  readonly root: string;
  readonly id: string;
  readonly signal: number;
  readonly all?: boolean;
  readonly registry: DriverRegistry;
}

/** How long one that is killed may take to end before it is looked into, in milliseconds. */
const PATIENCE = 100;

export function killContainer(request: KillRequest): void {
  whileKept(request.root, request.id, () => kill(request));
}

function kill({ root, id, signal, all, registry }: KillRequest): void {
  const record = needRecord(root, id);
  const { cgroupDriver, cgroupPaths } = record;
  const driver = cgroupDriver === undefined ? undefined : registry.get("cgroup", cgroupDriver);
  if (all === true && driver !== undefined) {
    // Nothing of it is left then, and the cgroup may be another container's by now.
    const own = ownCgroups(driver, record);
    if (Object.keys(own).length === 0) return;
    if (hasOwnPids(record) && statusOfRecord(root, record) === "stopped") return;
    driver.killAll(own, signal);
    return;
  }
  // Without a cgroup what ends the first of a pid namespace ends all; any other signal goes to each.
  if (all === true && signal !== SIGKILL && signalNamespace(record, signal)) return;
  // Held first and looked at then: it is the container's process that gets the signal, or nobody.
  const pidfd = tryPidfd(record.pid);
  try {
    if (pidfd < 0 || statusOfRecord(root, record) === "stopped") throw notRunning(id);
    const sent = trySignal(pidfd, signal);
    // It has ended in between, and engines know these words.
    if (sent === -ERRNO.ESRCH) throw notRunning(id);
    check(sent, { syscall: "pidfd_send_signal", message: `cannot signal container ${id}` });
    if (signal !== SIGKILL || driver === undefined) return;
    // As runc since 1.2: without pids of its own nothing may be left, and one that is paused (v1) dies only when thawed.
    if (!hasOwnPids(record)) driver.killAll(cgroupPaths, SIGKILL);
    else if (isPaused(record, registry)) driver.thaw(cgroupPaths);
    // The first of a pid namespace waits for the others, some of which the container may have frozen by itself.
    if (poll([{ fd: pidfd, events: POLLIN }], PATIENCE)[0] === 0) driver.killAll(cgroupPaths, SIGKILL);
  } finally {
    if (pidfd >= 0) close(pidfd);
  }
}

/** Whether it was there to be done: a container without pids of its own, or one that has stopped, is left to the caller. */
function signalNamespace(record: ContainerRecord, signal: number): boolean {
  const { namespaceProcesses } =
    require("./namespace-processes.ts") as typeof import("./namespace-processes.ts");
  const pids = namespaceProcesses(record) ?? [];
  for (const pid of pids) {
    const pidfd = tryPidfd(pid);
    if (pidfd < 0) continue;
    // Looked at once it is held: whoever has the number by now is left alone.
    if (namespaceProcesses(record)?.includes(pid) === true) trySignal(pidfd, signal);
    close(pidfd);
  }
  return pids.length > 0;
}

function notRunning(id: string) {
  return fail({ code: "WRONG_STATE", message: "container not running", hint: `${id} has stopped` });
}
