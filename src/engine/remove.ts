/**
 * `rm`: what a container left on this host goes. Not here: processes and cgroups, which runtime/ ends and removes.
 */
import { CtrError, fail } from "../error.ts";
import { containerState, deleteContainer } from "../runtime/lifecycle.ts";
import { containerDirectory, findContainer, releaseContainer } from "./containers.ts";
import { type Engine, openSnapshotter } from "./engine.ts";
import type { ContainerRecord } from "./record.ts";
import { unmountAll } from "./rootfs.ts";
import { containerStatus } from "./status.ts";

/**
 * Removes a container that a person named.
 * @returns whether there was one; without `force`, there must be.
 * @throws CtrError NOT_FOUND; IN_USE where it runs and is not forced.
 */
export async function removeContainer(engine: Engine, text: string, force: boolean): Promise<boolean> {
  const record = findOrNot(engine.settings.store, text, force);
  if (record === undefined) return false;
  const { status } = containerStatus(engine, record);
  if (status === "running" && !force) {
    throw fail({
      code: "IN_USE",
      message: `cannot remove container ${JSON.stringify(record.name)}: container is running`,
      hint: `end it first (ctr-bun kill ${record.name}), or force it: ctr-bun rm -f ${record.name}`,
    });
  }
  if (containerState(engine.stateRoot, record.id) !== undefined) {
    await deleteContainer({ root: engine.stateRoot, id: record.id, force: true, registry: engine.registry });
  }
  removeContainerFiles(engine, record);
  return true;
}

function findOrNot(store: string, text: string, force: boolean): ContainerRecord | undefined {
  try {
    return findContainer(store, text);
  } catch (error) {
    if (force && error instanceof CtrError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/** Mount, snapshot, directory, name. What is gone already is fine: another process may be doing the same. */
export function removeContainerFiles(engine: Engine, record: ContainerRecord): void {
  unmountContainer(engine, record);
  const snapshotter = openSnapshotter(engine, record.snapshotter);
  if (snapshotter.stat(record.id) !== undefined) {
    try {
      snapshotter.remove(record.id);
    } catch (error) {
      if (snapshotter.stat(record.id) !== undefined) throw error;
    }
  }
  releaseContainer(engine.settings.store, record.id, record.name);
}

/** Detaches the container's root file system from the host. */
export function unmountContainer(engine: Engine, record: ContainerRecord): void {
  unmountAll(`${containerDirectory(engine.settings.store, record.id)}/rootfs`);
}
