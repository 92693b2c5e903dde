/**
 * Whether units are still active: a container's, and those of others in it, which would end with it: somebody may put some
 * into a slice. Not here: what is done about them (driver.ts, remove.ts, update.ts).
 */
import type { Systemd } from "../../src/kernel/systemd.ts";

/** Names of lists of units that have a slice for theirs. Those before systemd 249 are told by what they need. */
const [MEMBERS, OLD_MEMBERS] = ["SliceOf", "RequiredBy"] as const;
/** What is no longer, or was never there, does not end. */
const GONE = new Set<unknown>([undefined, "inactive", "failed"]);

/** Whether a unit is no longer: a scope ends with its last process. */
export function hasEnded(systemd: Systemd, unit: string): boolean {
  return GONE.has(systemd.unitProperties(unit, "Unit", ["ActiveState"]).get("ActiveState")?.value);
}

/** Those that are active in a slice, and below it. */
export function guestsIn(systemd: Systemd, slice: string): string[] {
  const listOf = (name: string) => systemd.unitProperties(slice, "Unit", [name]).get(name);
  const { value } = listOf(MEMBERS) ?? listOf(OLD_MEMBERS) ?? {};
  const units = Array.isArray(value) ? value.map(String) : [];
  return units.filter((unit) => {
    const now = systemd.unitProperties(unit, "Unit", ["Job", "ActiveState"]);
    const job = now.get("Job")?.value;
    // One that is about to be started is one, too.
    return !GONE.has(now.get("ActiveState")?.value) || (Array.isArray(job) && job[0] !== 0);
  });
}
