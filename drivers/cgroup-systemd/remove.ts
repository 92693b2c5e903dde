/**
 * Taking a container's unit away: systemd is asked to stop it, and directories that are left go too. A unit that is gone
 * already, and a systemd that is, are no errors.
 */
import { asCtrError } from "../../src/error.ts";
import { removeCgroups } from "../cgroup-common/tree.ts";
import { withSystemd } from "./act.ts";
import { unitOf } from "./unit.ts";
import { anyDirectory } from "./update.ts";

/** Errors that leave the directories to us: systemd cannot be reached, or gives up before it answers. */
const WITHOUT_SYSTEMD = new Set(["SYSTEMD", "DBUS"]);

/** Stops the unit and removes its directories; waits for both. */
export function removeUnit(paths: Readonly<Record<string, string>>): void {
  const { unit, kind } = unitOf(anyDirectory(paths));
  let inUse = false;
  try {
    withSystemd((systemd) => {
      // Stopping a slice stops all units that somebody has put into it since.
      const inside =
        kind === "Slice" ? systemd.unitProperties(unit, "Unit", ["SliceOf"]).get("SliceOf") : undefined;
      inUse = Array.isArray(inside?.value) && inside.value.length > 0;
      if (inUse) return;
      systemd.stop(unit);
      systemd.resetFailed(unit);
    });
  } catch (thrown) {
    if (!WITHOUT_SYSTEMD.has(asCtrError(thrown).code)) throw thrown;
  }
  if (inUse) return;
  removeCgroups([...new Set(Object.values(paths).map((path) => unitOf(path).directory))]);
}
