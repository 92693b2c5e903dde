/**
 * Taking a container's unit away: systemd is asked to stop it, and directories that are left go too. A unit that is gone
 * already is no error; a systemd that is gone, or hangs, is warned of, where the directories can be removed without it.
 */
import { asCtrError, type CtrError, fail } from "../../src/error.ts";
import { O_DIRECTORY, O_RDONLY } from "../../src/kernel/constants.ts";
import { listDirectory, tryOpen, withFd } from "../../src/kernel/file.ts";
import { printError } from "../../src/kernel/output.ts";
import { identifyCgroups } from "../cgroup-common/identity.ts";
import { removeCgroups } from "../cgroup-common/tree.ts";
import { withSystemd } from "./act.ts";
import { guestsIn } from "./guests.ts";
import { unitOf } from "./unit.ts";
import { anyDirectory } from "./update.ts";

/** Errors that leave the directories to us: systemd cannot be reached, hangs, or is gone before it answers. */
const WITHOUT_SYSTEMD = new Set(["SYSTEMD", "DBUS", "TIMEOUT"]);

/** Whether systemd is not to be had, or has not done what it was asked for. */
export function isWithoutSystemd({ code, errno }: CtrError): boolean {
  return WITHOUT_SYSTEMD.has(code) || (code === "SYSCALL" && (errno === "ECONNRESET" || errno === "EPIPE"));
}

/** The inodes of a unit's cgroups, by the keys of the paths: a later unit of the same name has others. */
export function identifyUnit(paths: Readonly<Record<string, string>>): Record<string, string> {
  const units = Object.entries(paths).map(([key, path]) => [key, unitOf(path).directory]);
  return identifyCgroups(Object.fromEntries(units));
}

/** Units of others in a container's. Without systemd to ask, whatever has a name like theirs may be one. */
export function guestsOf(paths: Readonly<Record<string, string>>): string[] {
  const { unit, kind, directory } = unitOf(anyDirectory(paths));
  if (kind !== "Slice") return [];
  try {
    return withSystemd((systemd) => guestsIn(systemd, unit));
  } catch (thrown) {
    if (!isWithoutSystemd(asCtrError(thrown))) throw thrown;
    const fd = tryOpen(directory, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return [];
    return withFd(fd, listDirectory)
      .map(({ name }) => name)
      .filter((name) => /\.(scope|service|slice)$/.test(name));
  }
}

/** Refuses to end a container's processes where those of other units would end with them. */
export function needNoGuests(paths: Readonly<Record<string, string>>): void {
  const guests = guestsOf(paths);
  if (guests.length === 0) return;
  const { unit } = unitOf(anyDirectory(paths));
  throw fail({
    code: "CGROUP_BUSY",
    field: "linux.cgroupsPath",
    message: `units of others are in ${unit}, the container's slice, and would be killed with it: ${guests.join(", ")}`,
    hint: "stop them first, or give them another slice",
  });
}

/** Stops the unit and removes its directories; waits for both. */
export function removeUnit(paths: Readonly<Record<string, string>>): void {
  const { unit, kind } = unitOf(anyDirectory(paths));
  let inUse = false;
  let refusal: CtrError | undefined;
  try {
    withSystemd((systemd) => {
      // Stopping a slice stops all units that somebody has put into it since.
      inUse = kind === "Slice" && guestsIn(systemd, unit).length > 0;
      if (inUse) return;
      if (systemd.stop(unit)) systemd.resetFailed(unit);
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
