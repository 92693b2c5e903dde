/** What containers are doing: the state of one (runtime-spec runtime.md, "State"), and the list of all. */

import type { DriverRegistry } from "../driver.ts";
import { asCtrError } from "../error.ts";
import { readTextIfAny, statusOf } from "../kernel/file.ts";
import { printError } from "../kernel/output.ts";
import { OCI_VERSION } from "../spec/oci-version.ts";
import type { State } from "../spec/runtime/state.ts";
import {
  type ContainerRecord,
  type ContainerStatus,
  listIDs,
  readRecord,
  stateDirectory,
  statusOfRecord,
} from "./state.ts";
import { currentStatus } from "./status.ts";

/** runtime-spec's state; `undefined` where there is no such container. A paused one counts as running there. */
export function containerState(root: string, id: string): State | undefined {
  const record = readRecord(root, id);
  return record === undefined ? undefined : stateOf(root, record);
}

function stateOf(root: string, record: ContainerRecord): State {
  const status = statusOfRecord(root, record);
  const { id, pid, bundle, config } = record;
  return {
    ociVersion: OCI_VERSION,
    id,
    pid: status === "stopped" ? 0 : pid,
    status: status === "paused" ? "running" : status,
    bundle,
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
  };
}

/** A line of runc's `list --format json`, which is also its `state`. */
export interface Listing {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: ContainerStatus;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly owner: string;
}

/** Name of the user who made it, by the host's own passwd; the number where it has none. */
function ownerOf(directory: string): string {
  const uid = `${statusOf(directory)?.uid ?? 0}`;
  if (uid === "0") return "root";
  const lines = (readTextIfAny("/etc/passwd") ?? "").split("\n");
  return lines.find((line) => line.split(":")[2] === uid)?.split(":")[0] ?? uid;
}

/** What runc prints of a container. */
export function listing(root: string, record: ContainerRecord, registry: DriverRegistry): Listing {
  const { id, bundle, rootfs, created, config } = record;
  const status = currentStatus(root, record, registry);
  return {
    ociVersion: OCI_VERSION,
    id,
    pid: status === "stopped" ? 0 : record.pid,
    status,
    bundle,
    rootfs,
    created,
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
    owner: ownerOf(stateDirectory(root, id)),
  };
}

/** All containers of a root, but those without a record (a create under way), and damaged ones: those are warned of. */
export function listContainers(root: string, registry: DriverRegistry): Listing[] {
  return listIDs(root).flatMap((id) => {
    try {
      const record = readRecord(root, id);
      return record === undefined ? [] : [listing(root, record, registry)];
    } catch (thrown) {
      const error = asCtrError(thrown);
      printError(
        `ctr-bun: warning: ${id}: ${error.message}${error.path === undefined ? "" : `: ${error.path}`}\n`,
      );
      return [];
    }
  });
}
