/** Which cgroups are a container's: another's may have the same path by the time that a verb comes to it. */
import type { CgroupDriver, DriverRegistry } from "../driver.ts";
import type { ContainerRecord } from "./state.ts";

type Cgroup = Pick<ContainerRecord, "cgroupDriver" | "cgroupPaths">;

/** What tells a container's cgroups from later ones; undefined where it has none. */
export function identifyCgroup(
  registry: DriverRegistry,
  { cgroupDriver, cgroupPaths }: Cgroup,
): ContainerRecord["cgroupIdentity"] {
  return cgroupDriver === undefined ? undefined : registry.get("cgroup", cgroupDriver).identify(cgroupPaths);
}

/**
 * The paths of a container's cgroups without those where another's is by now: nothing of the container is in there. What
 * no identity was noted of is taken for its own.
 */
export function ownCgroups(
  driver: CgroupDriver,
  { cgroupIdentity = {}, cgroupPaths }: Pick<ContainerRecord, "cgroupIdentity" | "cgroupPaths">,
): ContainerRecord["cgroupPaths"] {
  const now = driver.identify(cgroupPaths);
  const entries = Object.entries(cgroupPaths);
  const own = entries.filter(
    ([key]) => (cgroupIdentity[key] ?? now[key]) === (now[key] ?? cgroupIdentity[key]),
  );
  if (own.length === entries.length) return cgroupPaths;
  return driver.goTogether === true ? {} : Object.fromEntries(own);
}
