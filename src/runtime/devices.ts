/** Which devices a container may use: what the kernel has, not what was asked for. Not here: how it is held (drivers). */
import type { DriverRegistry } from "../driver.ts";
import { needRecord } from "./state.ts";
import { cgroupDriverOf } from "./status.ts";

/** Lines for people. A container that has ended may have no cgroup any more: an error says so. */
export function containerDevices(root: string, id: string, registry: DriverRegistry): readonly string[] {
  const record = needRecord(root, id);
  const lines = cgroupDriverOf(record, registry, "nothing holds its devices").devices(record.cgroupPaths);
  return lines.length === 0 ? ["every device is allowed"] : lines;
}
