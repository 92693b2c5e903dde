/**
 * What stands in a container's directory from before anything is made until there is a record: enough to take away what
 * a create that was killed has left behind. Not here: the record of a container that is made (state.ts).
 */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { O_CREAT, O_WRONLY } from "../kernel/constants.ts";
import { close, open, readTextIfAny, writeAll } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { SIGKILL } from "../kernel/signal.ts";
import {
  type ContainerRecord,
  processStat,
  readRecord,
  removeState,
  stateDirectory,
  stateExists,
} from "./state.ts";

type Cgroup = Pick<ContainerRecord, "cgroupPaths" | "cgroupDriver">;

interface Creating extends Cgroup {
  /** The ctr-bun that is at it, and when it started (as in the record). */
  readonly pid: number;
  readonly started: string;
}

/** How long delete --force waits for a create that it has ended, in milliseconds. */
const PATIENCE = 10_000;
const LOOK_AGAIN = 10;

function fileOf(root: string, id: string): string {
  return `${stateDirectory(root, id)}/creating.json`;
}

/** Notes what is about to be made. Not synced: after a crash of the host there is nothing left to take away. */
export function noteCreating(root: string, id: string, { cgroupPaths, cgroupDriver }: Cgroup): void {
  const path = fileOf(root, id);
  const { pid } = process;
  const note: Creating = { pid, started: processStat(pid)?.started ?? "", cgroupPaths, cgroupDriver };
  const fd = open(path, O_WRONLY | O_CREAT, 0o600);
  try {
    writeAll(fd, new TextEncoder().encode(JSON.stringify(note)), path);
  } finally {
    close(fd);
  }
}

/** The note; undefined where there is none, or only a part of it (killed while it was written: nothing was made). */
function readNote(root: string, id: string): Creating | undefined {
  const text = readTextIfAny(fileOf(root, id));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Creating;
  } catch {
    return undefined;
  }
}

function isAtIt(note: Creating): boolean {
  const stat = processStat(note.pid);
  return stat !== undefined && stat.started === note.started && stat.state !== "Z" && stat.state !== "X";
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
    const driver = note.cgroupDriver === undefined ? undefined : registry.get("cgroup", note.cgroupDriver);
    if (isAtIt(note) && !force) {
      throw fail({
        code: "WRONG_STATE",
        message: `cannot delete container ${id} that is not stopped: creating`,
        hint: `process ${note.pid} is creating it: wait for it, or give --force`,
      });
    }
    for (let waited = 0; isAtIt(note) && waited < PATIENCE; waited += LOOK_AGAIN) {
      driver?.killAll(note.cgroupPaths, SIGKILL);
      poll([], LOOK_AGAIN);
      const record = readRecord(root, id);
      if (record !== undefined) return record;
      if (!stateExists(root, id)) return undefined;
    }
    driver?.killAll(note.cgroupPaths, SIGKILL);
    driver?.remove(note.cgroupPaths);
  }
  removeState(root, id);
  return undefined;
}
