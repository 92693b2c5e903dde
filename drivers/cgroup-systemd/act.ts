/**
 * What a plan's steps ask of systemd: starting a container's unit with a process inside, changing its properties. An
 * error leaves no unit behind. Not here: which unit, and with which properties (plan.ts).
 */
import type { ActContext } from "../../src/driver.ts";
import { asCtrError, type CtrError, fail } from "../../src/error.ts";
import { check } from "../../src/kernel/check.ts";
import type { DbusReply } from "../../src/kernel/dbus.ts";
import { readTextIfAny, statusOf, tryWriteFile } from "../../src/kernel/file.ts";
import {
  connectSystemd,
  JOB_FAILED,
  type Systemd,
  systemdScope,
  UNIT_EXISTS,
  type UnitProperty,
} from "../../src/kernel/systemd.ts";
import { UNIFIED } from "../cgroup-v2/plan.ts";
import { guestsIn } from "./guests.ts";
import { heldFiles, holdAgain } from "./held.ts";
import type { Attach, Join, SetProperties, SetWeights, Start } from "./plan.ts";
import { property } from "./properties.ts";
import { weightsHeld } from "./read-back.ts";

/** Runs `use` with a connection, and closes it. */
export function withSystemd<T>(use: (systemd: Systemd) => T): T {
  const systemd = connectSystemd();
  try {
    return use(systemd);
  } finally {
    systemd.close();
  }
}

/** Starts the unit with stage 0 in it, and sees that its cgroup is where it is expected. */
export function startUnit(start: Start, { stage0 = 0, made }: ActContext): void {
  withSystemd((systemd) => startOver(systemd, start, stage0));
  for (const directory of start.directories) made?.(directory);
}

function startOver(systemd: Systemd, start: Start, stage0: number): void {
  const { unit, kind } = start;
  // A slice has no processes of its own: it is joined afterwards.
  const pids = kind === "Slice" ? [] : [property("PIDs", "au", [stage0])];
  const properties = [...start.properties, ...pids];
  // ctr-bun may be in a unit of that name itself.
  const wasIn = isInUnit(stage0, unit);
  const isIn = () => !wasIn && isInUnit(stage0, unit);
  // Whatever goes wrong before systemd has taken it upon itself, a unit of that name is somebody else's.
  let accepted = false;
  const onAccepted = (): void => {
    accepted = true;
  };
  const tryStart = () => systemd.tryStart(unit, properties, onAccepted);
  try {
    let { error, text } = kind === "Slice" ? tryNewSlice(systemd, unit, tryStart) : tryStart();
    if (error === UNIT_EXISTS && !isIn()) {
      // One that has failed stays until somebody says that it may go.
      systemd.resetFailed(unit);
      if (kind === "Scope") ({ error, text } = tryStart());
    }
    if (error === JOB_FAILED && kind === "Scope" && !isIn()) {
      // One that executes itself anew before it has begun forgets which process was to be in it.
      systemd.resetFailed(unit);
      ({ error, text } = tryStart());
    }
    // Asked for twice, since the first answer was lost: with its process in it, it is the one that was asked for.
    const isThere = error === UNIT_EXISTS && isIn();
    if (error !== undefined && !isThere) throw cannotStart(unit, error, text);
    needPlace(start, stage0);
  } catch (thrown) {
    if (accepted && (kind === "Slice" || isIn())) giveUp(systemd, start);
    throw thrown;
  }
}

/** Whether a process is in the unit's cgroup, wherever that is. */
function isInUnit(pid: number, unit: string): boolean {
  const own = readTextIfAny(`/proc/${pid}/cgroup`) ?? "";
  return own.split("\n").some((line) => line.endsWith(`/${unit}`) || line.endsWith(`/_${unit}`));
}

/** A slice that others are in already is none of ours, and systemd would take it for no obstacle. */
function tryNewSlice(systemd: Systemd, unit: string, tryStart: () => DbusReply) {
  const state = systemd.unitProperties(unit, "Unit", ["ActiveState"]).get("ActiveState");
  if (state?.value !== "active") return tryStart();
  return { error: UNIT_EXISTS, text: `Unit ${unit} is active already.` };
}

/** Takes a unit back whose start came to nothing: an empty scope goes by itself, a slice does not. */
function giveUp(systemd: Systemd, { unit, kind }: Start): void {
  try {
    if (kind === "Slice" && guestsIn(systemd, unit).length > 0) return;
    systemd.stop(unit);
    systemd.resetFailed(unit);
  } catch {
    // What is told is why it was not started.
  }
}

function cannotStart(unit: string, error: string, text: string): CtrError {
  return fail({
    code: error === UNIT_EXISTS ? "CGROUP_BUSY" : "SYSTEMD",
    field: "linux.cgroupsPath",
    message: `unable to start unit "${unit}": ${text === "" ? error : text}`,
    hint: startHint(unit, error, text),
  });
}

function startHint(unit: string, error: string, text: string): string {
  const isUser = systemdScope() === "user";
  const user = isUser ? "--user " : "";
  if (error === UNIT_EXISTS) {
    return `another container, or somebody else, has that name: see systemctl ${user}status ${unit}; choose another linux.cgroupsPath`;
  }
  if (/propert/i.test(text)) {
    return "see the annotations org.systemd.property.*: this systemd does not know one of them, or not with that value";
  }
  if (isUser) {
    return "this user's systemd may be without the cgroups or the rights that it takes: try it below systemd-run --user --scope";
  }
  return `see journalctl ${user}-u ${unit}`;
}

/** Refuses a unit that is elsewhere: a limit would be written to another cgroup, and removing it take another one. */
function needPlace({ unit, kind, directories, expected }: Start, stage0: number): void {
  const [first = ""] = directories;
  const seen = kind === "Slice" ? expected : (readTextIfAny(`/proc/${stage0}/cgroup`) ?? "");
  const isThere = seen.split("\n").some((line) => line.endsWith(expected));
  if (isThere && directories.some((directory) => statusOf(directory) !== undefined)) return;
  const where = seen.trim().split("\n").at(-1) ?? "";
  throw fail({
    code: "CGROUP",
    field: "linux.cgroupsPath",
    message: `systemd has put ${unit} elsewhere than ${first}: ${where}`,
    hint: "an annotation org.systemd.property.Slice, or a cgroup file system that is mounted in part, is in the way",
  });
}

/** The code of the error that a unit is not there. */
export const NO_UNIT = "NO_UNIT";

/** Changes properties of a unit. Throws NO_UNIT where it is no longer there. */
export function needProperties(systemd: Systemd, unit: string, properties: readonly UnitProperty[]): void {
  if (systemd.setProperties(unit, properties)) return;
  throw fail({ code: NO_UNIT, message: `the container's unit ${unit} is gone: its processes have ended` });
}

/**
 * Changes properties of the container's unit, upon which systemd writes all of its files anew: they keep their values,
 * but for the limit of tasks, which is what it is for.
 */
export function setProperties({ unit, properties, paths }: SetProperties): void {
  const files = heldFiles(paths).filter(({ path }) => !path.endsWith("/pids.max"));
  try {
    withSystemd((systemd) => needProperties(systemd, unit, properties));
  } catch (thrown) {
    const error = asCtrError(thrown);
    if (error.code !== "DBUS") throw error;
    throw fail({
      code: "SYSTEMD",
      message: `unable to set properties of ${unit}: ${error.message}`,
      cause: error,
    });
  }
  holdAgain(files);
}

/** Tells systemd of the weights that are there, where it would write others. */
export function setWeights({ unit, directory }: SetWeights): void {
  const properties = weightsHeld(directory);
  if (properties.length > 0) setProperties({ unit, properties, paths: { [UNIFIED]: directory } });
}

/** Has systemd move stage 0 of exec into the container's unit. */
export function attachProcess({ unit, below }: Attach, { stage0 = 0 }: ActContext): void {
  withSystemd((systemd) => systemd.attach(unit, below, [stage0]));
}

/** Moves stage 0 into each of these cgroups. */
export function joinDirectories({ directories }: Join, { stage0 = 0 }: ActContext): void {
  for (const directory of directories) {
    const path = `${directory}/cgroup.procs`;
    check(tryWriteFile(path, `${stage0}`), { syscall: "write", path, field: "linux.cgroupsPath" });
  }
}
