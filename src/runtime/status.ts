/**
 * What a container is doing, its cgroup's freezer looked at too: a paused one looks like any other from its process.
 * Not here: what its process alone tells (state.ts).
 */
import type { CgroupDriver, DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { makesNamespace } from "../plan/input.ts";
import { type ContainerRecord, type ContainerStatus, statusOfRecord } from "./state.ts";

/** As runc has it, a container that is created and not started can be paused too. */
export function currentStatus(
  root: string,
  record: ContainerRecord,
  registry: DriverRegistry,
): ContainerStatus {
  const status = statusOfRecord(root, record);
  return status !== "stopped" && isPaused(record, registry) ? "paused" : status;
}

/** Whether the container's cgroup is frozen, or is being frozen. */
export function isPaused({ cgroupDriver, cgroupPaths }: ContainerRecord, registry: DriverRegistry): boolean {
  return cgroupDriver !== undefined && registry.get("cgroup", cgroupDriver).isFrozen(cgroupPaths);
}

/** Whether the container's process is the first of a pid namespace: everything in that ends with it. */
export function hasOwnPids({ config }: ContainerRecord): boolean {
  return makesNamespace(config, "pid");
}

/** The driver of a container's cgroup, for a verb that works by that: `consequence` is what cannot be without one. */
export function cgroupDriverOf(
  { id, cgroupDriver }: ContainerRecord,
  registry: DriverRegistry,
  consequence: string,
): CgroupDriver {
  if (cgroupDriver !== undefined) return registry.get("cgroup", cgroupDriver);
  throw fail({
    code: "CGROUP",
    message: `container ${id} has no cgroup, so ${consequence}`,
    hint: "it was made with --cgroup-manager disabled, on a host without a cgroup file system, or by a user to whom no cgroup was delegated",
  });
}
