/** OCI delete: cgroup, state and poststop hooks of a stopped container; with force, of any. */

import type { CgroupDriver, DriverRegistry } from "../driver.ts";
import { asCtrError, type CtrError, fail } from "../error.ts";
import { POLLIN } from "../kernel/constants.ts";
import { close, removeDirectories } from "../kernel/file.ts";
import { printError } from "../kernel/output.ts";
import { poll } from "../kernel/poll.ts";
import { tryPidfd, trySignal } from "../kernel/process.ts";
import { SIGKILL } from "../kernel/signal.ts";
import { ownCgroups } from "./cgroup-identity.ts";
import { removeUnfinished } from "./creating.ts";
import { runHooksToTheEnd } from "./hooks.ts";
import { takeAway } from "./lock.ts";
import {
  type ContainerRecord,
  isAlive,
  noContainer,
  processStat,
  readRecord,
  removeState,
  stateExists,
} from "./state.ts";
import { currentStatus, hasOwnPids } from "./status.ts";

/** How long delete waits for a killed process, in milliseconds. */
const PATIENCE = 10_000;
const LOOK_AGAIN = 100;
/** How long what ends by itself in its cgroup may take, in milliseconds. */
const MOMENT = 500;
const LOOK_CLOSER = 10;

export interface DeleteRequest {
  readonly root: string;
  readonly id: string;
  /** Kills what still runs; a container that is not there is no error. */
  readonly force?: boolean;
  readonly registry: DriverRegistry;
}

export async function deleteContainer(request: DeleteRequest): Promise<void> {
  const { root, id, force = false, registry } = request;
  let record = readOrGiveUp(root, id, force);
  if (record === undefined) {
    // A create that was killed leaves a directory without a record.
    const there = stateExists(root, id);
    if (there) record = removeUnfinished(registry, root, id, force);
    if (!there && !force) throw noContainer(root, id);
    if (record === undefined) return;
  }
  const status = currentStatus(root, record, registry);
  if (status !== "stopped") {
    if (!force && status !== "created") {
      throw fail({
        code: "WRONG_STATE",
        message: `cannot delete container ${id} that is not stopped: ${status}`,
        hint: "kill it first, or give --force",
      });
    }
    const { cgroupDriver, cgroupPaths } = record;
    if (cgroupDriver !== undefined) {
      const driver = registry.get("cgroup", cgroupDriver);
      driver.needNoGuests?.(cgroupPaths);
      endFrozen(driver, record);
    }
    killInit(record, registry);
  }
  // Of two that delete at once, one does it.
  if (!removeContainer(registry, root, record) && !force) throw noContainer(root, id);
}

/** The record. One that is damaged is, with force, as good as none: the note of its making tells what there is. */
function readOrGiveUp(root: string, id: string, force: boolean): ContainerRecord | undefined {
  try {
    return readRecord(root, id);
  } catch (thrown) {
    const error: CtrError = asCtrError(thrown);
    if (!force || error.code !== "DAMAGED_STATE") throw error;
    printError(`ctr-bun: warning: ${error.message}: ${error.path}\n`);
    return undefined;
  }
}

/** Kills what stands still in a frozen cgroup: on v1 a process dies only once it is thawed. */
function endFrozen(driver: CgroupDriver, record: ContainerRecord): void {
  try {
    if (driver.isFrozen(record.cgroupPaths)) endAll(driver, record);
  } catch (error) {
    printError(`ctr-bun: warning: ${asCtrError(error).message}\n`);
  }
}

function endAll(driver: CgroupDriver, { cgroupPaths }: ContainerRecord): void {
  try {
    driver.killAll(cgroupPaths, SIGKILL);
  } catch (error) {
    printError(`ctr-bun: warning: ${asCtrError(error).message}\n`);
  }
}

/**
 * Kills a container's init, and with it, where it has a pid namespace, everything; waits for its end. With a registry
 * also one that somebody freezes meanwhile.
 */
export function killInit(record: ContainerRecord, registry?: DriverRegistry): void {
  const pidfd = tryPidfd(record.pid);
  if (pidfd < 0) return;
  try {
    // Held first and looked at then: whoever has its number later is neither killed nor waited for.
    if (!isAlive(record)) return;
    trySignal(pidfd, SIGKILL);
    const { cgroupDriver } = record;
    const driver = cgroupDriver === undefined ? undefined : registry?.get("cgroup", cgroupDriver);
    for (let waited = 0; waited < PATIENCE; waited += LOOK_AGAIN) {
      if (poll([{ fd: pidfd, events: POLLIN }], LOOK_AGAIN)[0] !== 0) return;
      // It waits for the others of its pid namespace, which may be frozen, also in a cgroup of the container's own making.
      if (driver !== undefined) endAll(driver, record);
    }
  } finally {
    close(pidfd);
  }
}

/**
 * Takes away all that is left of a stopped container and runs its poststop hooks, whose failure is a warning. False, and
 * nothing done, where somebody else has done so; another container may have its ID by then.
 */
export function removeContainer(registry: DriverRegistry, root: string, record: ContainerRecord): boolean {
  const removed = takeAway(root, record.id, () => {
    if (!isStill(root, record)) return false;
    if (record.cgroupDriver !== undefined) {
      removeCgroup(registry.get("cgroup", record.cgroupDriver), record);
    }
    removeDirectories(record.resctrl?.made ?? []);
    removeState(root, record.id);
    return true;
  });
  if (removed === true) runPoststop(record);
  return removed === true;
}

/**
 * The cgroup of a container that has ended. Without a pid namespace of its own, what the program started outlives it, and
 * is killed. With one, all that was in that has ended before its init did: whoever is in the cgroup now is of another
 * container with the same path, or was put there by somebody, and keeps it.
 */
function removeCgroup(driver: CgroupDriver, record: ContainerRecord): void {
  const cgroupPaths = ownCgroups(driver, record);
  if (Object.keys(cgroupPaths).length === 0) return;
  let pids = driver.processes(cgroupPaths);
  if (pids.length > 0 && (!hasOwnPids(record) || isListed(record, pids))) {
    driver.killAll(cgroupPaths, SIGKILL);
  } else {
    // An exec that had joined the cgroup, and not yet the pid namespace, finds that closed and ends.
    for (let waited = 0; pids.length > 0 && waited < MOMENT; waited += LOOK_CLOSER) {
      poll([], LOOK_CLOSER);
      pids = driver.processes(cgroupPaths);
    }
    if (pids.length > 0) {
      const where = Object.values(cgroupPaths)[0];
      printError(
        `ctr-bun: warning: the cgroup of container ${record.id} is left alone, since processes that are not its own are in it: ${where}: ${pids.slice(0, 8).join(" ")}\n`,
      );
      return;
    }
  }
  driver.remove(cgroupPaths);
}

/** Whether the init is still among them: its first thread alone has ended, which looks like the end of it. */
function isListed({ pid, started }: ContainerRecord, pids: readonly number[]): boolean {
  return pids.includes(pid) && processStat(pid)?.started === started;
}

/** Whether the record on disk is that of the same container; one that is damaged is taken for it. */
function isStill(root: string, { id, pid, started, created }: ContainerRecord): boolean {
  let now: ContainerRecord | undefined;
  try {
    now = readRecord(root, id);
  } catch {
    return true;
  }
  return now !== undefined && now.pid === pid && now.started === started && now.created === created;
}

/** Runs the poststop hooks of a container of which nothing is left. The failure of one is a warning. */
export function runPoststop({ id, bundle, config }: Pick<ContainerRecord, "id" | "bundle" | "config">): void {
  const { poststop } = config.hooks ?? {};
  if (poststop === undefined || poststop.length === 0) return;
  const state = { id, status: "stopped" as const, pid: 0, bundle, annotations: config.annotations };
  for (const { field, message } of runHooksToTheEnd("poststop", poststop, state)) {
    printError(`ctr-bun: warning: ${field}: ${message}\n`);
  }
}
