/**
 * What stands in a container's directory from before anything is made until there is a record: enough to take away what
 * a create that was killed has left behind. Not here: the record of a container that is made (state.ts).
 */
import type { CgroupDriver, DriverRegistry } from "../driver.ts";
import { asCtrError, fail } from "../error.ts";
import { close, readTextIfAny, removeDirectories, replaceFile, statusOf } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { tryPidfd, trySignal } from "../kernel/process.ts";
import { SIGKILL } from "../kernel/signal.ts";
import type { Plan } from "../plan/step.ts";
import { ownCgroups } from "./cgroup-identity.ts";
import { takeAway } from "./lock.ts";
import {
  type ContainerRecord,
  noContainer,
  processStat,
  readRecord,
  removeState,
  stateDirectory,
  stateExists,
} from "./state.ts";

type Cgroup = Pick<ContainerRecord, "cgroupPaths" | "cgroupDriver" | "cgroupIdentity">;

/** `cgroupPaths`: of the container's cgroups those that this create makes; the others are somebody else's. */
interface Creating extends Cgroup {
  /** The ctr-bun that is at it, and when it started (as in the record). */
  readonly pid: number;
  readonly started: string;
  /** Directories in resctrl that this create makes. */
  readonly resctrl?: readonly string[];
}

/** How long delete --force waits for a create that it has ended, in milliseconds. */
const PATIENCE = 10_000;
const LOOK_AGAIN = 10;
/** How long an init whose ctr-bun has ended may take to end, in milliseconds. */
const MOMENT = 500;

function fileOf(root: string, id: string): string {
  return `${stateDirectory(root, id)}/creating.json`;
}

/** Those of a container's cgroups that are not there: what a create that begins now makes. */
export function missingCgroups(cgroupPaths: Cgroup["cgroupPaths"]): Record<string, string> {
  const missing: Record<string, string> = {};
  for (const name in cgroupPaths) {
    const path = cgroupPaths[name];
    if (path !== undefined && statusOf(path) === undefined) missing[name] = path;
  }
  return missing;
}

/**
 * Notes what is about to be made, or was. Not synced: after a crash of the host there is nothing left to take away.
 * Throws NO_CONTAINER where the directory was deleted meanwhile.
 */
export function noteCreating(
  root: string,
  id: string,
  { cgroupPaths, cgroupDriver, cgroupIdentity, resctrl }: Cgroup & Pick<Plan, "resctrl">,
): void {
  const path = fileOf(root, id);
  const { pid } = process;
  const made = resctrl === undefined ? {} : { resctrl: resctrl.made };
  const started = processStat(pid)?.started ?? "";
  const note: Creating = { pid, started, cgroupPaths, cgroupDriver, cgroupIdentity, ...made };
  try {
    replaceFile(path, new TextEncoder().encode(JSON.stringify(note)), 0o600, false);
  } catch (thrown) {
    // Until there is a note, delete takes the directory for left behind.
    if (asCtrError(thrown).errno === "ENOENT") throw noContainer(root, id);
    throw thrown;
  }
}

/** The note; undefined where there is none, or it is damaged. */
function readNote(root: string, id: string): Creating | undefined {
  const text = readTextIfAny(fileOf(root, id));
  if (text === undefined) return undefined;
  try {
    const note = JSON.parse(text) as Creating | null;
    return typeof note?.pid === "number" && typeof note.cgroupPaths === "object" && note.cgroupPaths !== null
      ? note
      : undefined;
  } catch {
    return undefined;
  }
}

/** The record; a damaged one is as good as none, since the note tells what there is. */
function recordIfWhole(root: string, id: string): ContainerRecord | undefined {
  try {
    return readRecord(root, id);
  } catch {
    return undefined;
  }
}

/** Whether it is a note of the same create. */
function isSame(latest: Creating | undefined, { pid, started }: Creating): latest is Creating {
  return latest?.pid === pid && latest.started === started;
}

function isAtIt(note: Creating): boolean {
  const stat = processStat(note.pid);
  return stat !== undefined && stat.started === note.started && stat.state !== "Z" && stat.state !== "X";
}

/** Ends the inits that a ctr-bun has started, where no cgroup of their own tells them from others. */
function killInitsOf(note: Creating): void {
  for (const word of (readTextIfAny(`/proc/${note.pid}/task/${note.pid}/children`) ?? "").split(" ")) {
    const child = Number(word);
    if (child > 0) killHeld(child, () => isInitOf(child, note));
  }
}

function isInitOf(child: number, note: Creating): boolean {
  const comm = readTextIfAny(`/proc/${child}/comm`)?.trim();
  return comm === "ctr-init" && processStat(child)?.parent === note.pid && isAtIt(note);
}

/** Kills a process that is held first and looked at then: whoever has its number later is left alone. */
function killHeld(pid: number, isIt: () => boolean): void {
  const pidfd = tryPidfd(pid);
  if (pidfd < 0) return;
  if (isIt()) trySignal(pidfd, SIGKILL);
  close(pidfd);
}

/** The cgroups that it makes, and their driver, where there are any, and they have not become another's. */
function cgroupsOf(
  registry: DriverRegistry,
  note: Creating,
): { driver: CgroupDriver; paths: Creating["cgroupPaths"] } | undefined {
  if (note.cgroupDriver === undefined) return undefined;
  const driver = registry.get("cgroup", note.cgroupDriver);
  const paths = ownCgroups(driver, note);
  return Object.keys(paths).length === 0 ? undefined : { driver, paths };
}

/** Ends the init of a create that is still at it. Until its cgroups are noted as made, there is no telling whose they are. */
function endInit(registry: DriverRegistry, note: Creating): void {
  const made = note.cgroupIdentity === undefined ? undefined : cgroupsOf(registry, note);
  if (made === undefined) killInitsOf(note);
  else made.driver.killAll(made.paths, SIGKILL);
}

/**
 * Takes away the cgroups of one that has ended. One that ended before they were noted as made has put nobody into them,
 * or an init that ends with it: who is still there after a moment is somebody else's, and keeps it.
 */
function removeCgroups(registry: DriverRegistry, note: Creating): void {
  const made = cgroupsOf(registry, note);
  if (made === undefined) return;
  const { driver, paths } = made;
  if (note.cgroupIdentity !== undefined) driver.killAll(paths, SIGKILL);
  else {
    for (let waited = 0; driver.processes(paths).length > 0; waited += LOOK_AGAIN) {
      if (waited >= MOMENT) return;
      poll([], LOOK_AGAIN);
    }
  }
  driver.remove(paths);
}

/**
 * Takes away what a create without a record has left: the processes of its init, its cgroup, its directory. One that is
 * still at it is an error; with `force` its init is killed, which makes it fail and clean up after itself. Returns the
 * record of a container that was finished meanwhile.
 */
export function removeUnfinished(
  registry: DriverRegistry,
  root: string,
  id: string,
  force: boolean,
): ContainerRecord | undefined {
  const note = readNote(root, id);
  if (note !== undefined) {
    if (isAtIt(note) && !force) {
      throw fail({
        code: "WRONG_STATE",
        message: `cannot delete container ${id} that is not stopped: creating`,
        hint: `process ${note.pid} is creating it: wait for it, or give --force`,
      });
    }
    for (let waited = 0; isAtIt(note) && waited < PATIENCE; waited += LOOK_AGAIN) {
      const latest = readNote(root, id);
      endInit(registry, isSame(latest, note) ? latest : note);
      poll([], LOOK_AGAIN);
      const record = recordIfWhole(root, id);
      if (record !== undefined) return record;
      if (!stateExists(root, id)) return undefined;
    }
    // One that hangs, in a hook perhaps, must not come back and take away what has its ID by then.
    if (isAtIt(note)) killHeld(note.pid, () => isAtIt(note));
    return takeAway(root, id, () => {
      // It may have been finished, or taken away and begun anew, while this waited.
      const record = recordIfWhole(root, id);
      const now = readNote(root, id);
      if (record !== undefined || !isSame(now, note)) return record;
      // What it has noted last.
      removeCgroups(registry, now);
      removeDirectories(now.resctrl ?? []);
      removeState(root, id);
      return undefined;
    });
  }
  removeState(root, id);
  return undefined;
}
