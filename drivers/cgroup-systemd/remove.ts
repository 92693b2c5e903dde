/**
 * Taking a container's unit away: systemd is asked to stop it, and directories that are left go too. A unit that is gone
 * already is no error; a systemd that is gone, or hangs, is warned of, where the directories can be removed without it.
 */
import { asCtrError, type CtrError } from "../../src/error.ts";
import { printError } from "../../src/kernel/output.ts";
import { removeCgroups } from "../cgroup-common/tree.ts";
import { withSystemd } from "./act.ts";
import { unitOf } from "./unit.ts";
import { anyDirectory } from "./update.ts";

/** Errors that leave the directories to us: systemd cannot be reached, hangs, or is gone before it answers. */
const WITHOUT_SYSTEMD = new Set(["SYSTEMD", "DBUS", "TIMEOUT"]);

/** Whether systemd is not to be had, or has not done what it was asked for. */
export function isWithoutSystemd({ code, errno }: CtrError): boolean {
  return WITHOUT_SYSTEMD.has(code) || (code === "SYSCALL" && (errno === "ECONNRESET" || errno === "EPIPE"));
}

/** Stops the unit and removes its directories; waits for both. */
export function removeUnit(paths: Readonly<Record<string, string>>): void {
  const { unit, kind } = unitOf(anyDirectory(paths));
  let inUse = false;
  let refusal: CtrError | undefined;
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
    refusal = asCtrError(thrown);
    if (!isWithoutSystemd(refusal)) throw thrown;
  }
  if (inUse) return;
  removeCgroups([...new Set(Object.values(paths).map((path) => unitOf(path).directory))]);
  // A unit goes by itself once its cgroup is empty, as soon as systemd looks.
  if (refusal !== undefined) {
    printError(`ctr-bun: warning: the cgroup of ${unit} was removed without systemd: ${refusal.message}\n`);
  }
}
