/** Processes of a container that are killed for memory: how many, from when its cgroup is there until after its end. */
import type { DriverRegistry, KillWatch } from "../driver.ts";
import type { ContainerRecord } from "./state.ts";

/** Watches where the counters go with the cgroup, and that by itself; else they are read when it is asked. */
export function watchKills(
  registry: DriverRegistry,
  { cgroupDriver, cgroupPaths }: Pick<ContainerRecord, "cgroupDriver" | "cgroupPaths">,
): KillWatch {
  const driver = cgroupDriver === undefined ? undefined : registry.get("cgroup", cgroupDriver);
  const unwatched = { fds: [], count: () => driver?.oomKills(cgroupPaths) ?? 0, close: () => undefined };
  return driver?.watchKills?.(cgroupPaths) ?? unwatched;
}
