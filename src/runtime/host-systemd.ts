/** The systemd that would have a container of this user for a unit, as a value; looked up only when it is asked for. */
import type { HostSystemd } from "../driver.ts";
import { connectSystemd, isBooted } from "../kernel/systemd.ts";

/** Undefined where systemd is not PID 1. Throws SYSTEMD where it is, and cannot be reached. */
export function probeSystemd(): HostSystemd | undefined {
  if (!isBooted()) return undefined;
  const systemd = connectSystemd();
  try {
    return { version: systemd.version(), controlGroup: systemd.controlGroup() };
  } finally {
    systemd.close();
  }
}
