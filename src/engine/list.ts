/**
 * `ps`: containers with what they are doing. Not here: how it is printed (cli).
 */
import { listRecords } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { ContainerRecord } from "./record.ts";
import { removeAbandoned } from "./remove.ts";
import { type ContainerStatus, containerStatus } from "./status.ts";

/** A container and its status. */
export interface ListedContainer {
  readonly record: ContainerRecord;
  readonly status: ContainerStatus;
}

/** Those that run, or all; newest first. */
export async function listContainers(engine: Engine, all: boolean): Promise<ListedContainer[]> {
  if (all && engine.host.uid === 0) await removeAbandoned(engine);
  return listRecords(engine.settings.store, engine.warn)
    .map((record) => ({ record, status: containerStatus(engine, record) }))
    .filter(({ status }) => all || status.status === "running");
}

/** Names of the containers that use an image, for `rmi`. */
export function imageUsage(engine: Engine): (id: string) => readonly string[] {
  const records = listRecords(engine.settings.store, engine.warn);
  return (id) => records.filter(({ image }) => image.id === id).map(({ name }) => name);
}
