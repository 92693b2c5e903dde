/**
 * Which cgroup is a container's, where cgroups go by themselves with their last process: another's may have the same path
 * by the time that a verb comes to it.
 */
import type { CgroupDriver, DriverRegistry } from "../driver.ts";
import type { ContainerRecord } from "./state.ts";

type Cgroup = Pick<ContainerRecord, "cgroupDriver" | "cgroupPaths">;

/** What tells a container's cgroups from later ones; undefined where they do not go by themselves. */
export function identifyCgroup(
  registry: DriverRegistry,
  { cgroupDriver, cgroupPaths }: Cgroup,
): ContainerRecord["cgroupIdentity"] {
  return cgroupDriver === undefined
    ? undefined
    : registry.get("cgroup", cgroupDriver).identify?.(cgroupPaths);
}

/** Whether a container's cgroup has gone, and another's is where it was: nothing of the container is in there. */
export function isTakenCgroup(
  driver: CgroupDriver,
  { cgroupIdentity = {}, cgroupPaths }: Pick<ContainerRecord, "cgroupIdentity" | "cgroupPaths">,
): boolean {
  const now = driver.identify?.(cgroupPaths) ?? {};
  return Object.entries(now).some(([key, identity]) => (cgroupIdentity[key] ?? identity) !== identity);
}
