/**
 * `rm`: what a container left on this host goes. Not here: processes and cgroups, which runtime/ ends and removes.
 */

import { asCtrError, CtrError, fail } from "../error.ts";
import { SIGKILL } from "../kernel/signal.ts";
import { containerState, deleteContainer, killContainer } from "../runtime/lifecycle.ts";
import { shortID } from "../spec/image/short-id.ts";
import {
  abandonedIDs,
  containerDirectory,
  findID,
  isBeingMade,
  readRecord,
  releaseContainer,
  unrecorded,
} from "./containers.ts";
import { type Engine, openSnapshotter } from "./engine.ts";
import type { ContainerRecord } from "./record.ts";
import { unmountAll } from "./rootfs.ts";
import { containerStatus } from "./status.ts";

/** More mounts than any snapshotter lays on top of each other. */
const MOST_MOUNTS = 16;
/** How long `rm -f` leaves it to the container's own `run` to clean up, in milliseconds. */
const PATIENCE = 500;
const LOOK_AGAIN = 10;

/** What removing has to know. */
type Leftover = Pick<ContainerRecord, "id" | "name" | "snapshotter">;

/**
 * Removes a container that a person named.
 * @returns whether there was one; without `force`, there must be.
 * @throws CtrError NOT_FOUND; IN_USE where it runs or is being made; DAMAGED_RECORD, which `force` does without.
 */
export async function removeContainer(engine: Engine, text: string, force: boolean): Promise<boolean> {
  const { store } = engine.settings;
  const id = findOrNot(store, text, force);
  if (id === undefined) return false;
  const record = recordOrNot(engine, id, force);
  const isRunning = record !== undefined && containerStatus(engine, record).status === "running";
  if (isRunning && !force) {
    throw fail({
      code: "IN_USE",
      message: `cannot remove container ${JSON.stringify(record.name)}: container is running`,
      hint: `end it first (ctr-bun kill ${record.name}), or force it: ctr-bun rm -f ${record.name}`,
    });
  }
  if (!isRunning && (record === undefined || !force) && isBeingMade(store, id)) {
    throw fail({
      code: "IN_USE",
      message: `cannot remove container ${JSON.stringify(text)}: it is being created`,
      hint: "wait for it, or interrupt the ctr-bun that creates it",
    });
  }
  if (isRunning) await endRun(engine, id);
  await removeAll(engine, record ?? unrecorded(store, id));
  return true;
}

/**
 * Kills the program and lets its own `run` take the runtime's part away, if there is still one: two that remove the same
 * cgroup at the same time are in each other's way.
 */
async function endRun(engine: Engine, id: string): Promise<void> {
  const { stateRoot: root, registry } = engine;
  try {
    killContainer({ root, id, signal: SIGKILL, registry });
  } catch {
    // It ended by itself meanwhile, or cannot be killed like this: deleting it does, or says why not.
    return;
  }
  for (let waited = 0; waited < PATIENCE && containerState(root, id) !== undefined; waited += LOOK_AGAIN) {
    await Bun.sleep(LOOK_AGAIN);
  }
}

/** Removes what processes left that were killed while they made a container. */
export async function removeAbandoned(engine: Engine): Promise<number> {
  const { store } = engine.settings;
  const ids = abandonedIDs(store);
  for (const id of ids) {
    try {
      await removeAll(engine, unrecorded(store, id));
    } catch (error) {
      engine.warn(`what is left of container ${shortID(id)} cannot be removed: ${asCtrError(error).message}`);
    }
  }
  return ids.length;
}

/** The runtime's state too, whatever there is of it: a start that was killed leaves a cgroup and no record. */
async function removeAll(engine: Engine, leftover: Leftover): Promise<void> {
  const { stateRoot: root, registry } = engine;
  await deleteContainer({ root, id: leftover.id, force: true, registry });
  removeContainerFiles(engine, leftover);
}

function findOrNot(store: string, text: string, force: boolean): string | undefined {
  try {
    return findID(store, text);
  } catch (error) {
    if (force && error instanceof CtrError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

function recordOrNot(engine: Engine, id: string, force: boolean): ContainerRecord | undefined {
  try {
    return readRecord(engine.settings.store, id);
  } catch (error) {
    if (!force) throw error;
    engine.warn(asCtrError(error).message);
    return undefined;
  }
}

/** Mount, snapshot, directory, name. What is gone already is fine: another process may be doing the same. */
export function removeContainerFiles(engine: Engine, { id, name, snapshotter: driver }: Leftover): void {
  unmountContainer(engine, id);
  const snapshotter = openSnapshotter(engine, driver === "" ? undefined : driver);
  if (snapshotter.stat(id) !== undefined) {
    try {
      snapshotter.remove(id);
    } catch (error) {
      if (snapshotter.stat(id) !== undefined) throw error;
    }
  }
  releaseContainer(engine.settings.store, id, name);
}

/** Detaches the container's root file system from the host. */
export function unmountContainer(engine: Engine, id: string): void {
  unmountAll(`${containerDirectory(engine.settings.store, id)}/rootfs`, MOST_MOUNTS);
}
