/**
 * The v1 freezer. Source: Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst.
 */
import { fail } from "../../src/error.ts";
import { readTextIfAny, tryWriteFile, writeFile } from "../../src/kernel/file.ts";
import { writeThaw } from "../cgroup-common/thaw.ts";
import { walkCgroups } from "../cgroup-common/tree.ts";
import { waitUntil } from "../cgroup-common/wait.ts";

const FILE = "freezer.state";
/** Milliseconds. */
const LIMIT = 10_000;
/** Looks between which a freezer that does not get on is thawed for a moment (a process in vfork(2) holds it up). */
const NUDGE = 25;

/** Stops every process in it and below it, and returns when all stand still. */
export function freeze(directory: string): void {
  const path = `${directory}/${FILE}`;
  let looks = 0;
  writeFile(path, "FROZEN");
  const frozen = waitUntil(() => {
    looks++;
    if (looks % NUDGE === 0) tryWriteFile(path, "THAWED");
    tryWriteFile(path, "FROZEN");
    return state(directory) === "FROZEN";
  }, LIMIT);
  if (frozen) return;
  tryWriteFile(path, "THAWED");
  throw fail({
    code: "TIMEOUT",
    message: "the cgroup could not be frozen within 10 seconds, and was thawed again",
    path,
    hint: "a process in it is in an uninterruptible sleep (state D in ps)",
  });
}

export function thaw(directory: string): void {
  writeThaw(`${directory}/${FILE}`, "THAWED");
}

/** Thaws it and all that the container has frozen below it: who is killed there would not die before. */
export function thawTree(directory: string): void {
  walkCgroups(directory, (fd) => tryWriteFile(FILE, "THAWED", fd));
}

/**
 * Whether it is frozen, or is being frozen, by its own state. One that only stands still with a cgroup above it is not
 * (as in runc): thawing it would not let it go on.
 */
export function isFrozen(directory: string): boolean {
  if (!standsStill(directory)) return false;
  return (readTextIfAny(`${directory}/freezer.self_freezing`) ?? "1").trim() === "1";
}

/** Whether processes in it stand still, or are being stopped: by its own state, or by that of one above it. */
export function standsStill(directory: string): boolean {
  return state(directory) !== "THAWED";
}

function state(directory: string): string {
  return (readTextIfAny(`${directory}/${FILE}`) ?? "THAWED").trim();
}
