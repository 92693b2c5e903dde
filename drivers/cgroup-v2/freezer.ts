/**
 * Freezing on v2, which belongs to the core. Source: Documentation/admin-guide/cgroup-v2.rst, cgroup.freeze.
 */
import { fail } from "../../src/error.ts";
import { readTextIfAny, tryWriteFile, writeFile } from "../../src/kernel/file.ts";
import { readPairs } from "../cgroup-common/read.ts";
import { writeThaw } from "../cgroup-common/thaw.ts";
import { waitUntil } from "../cgroup-common/wait.ts";

const FILE = "cgroup.freeze";
/** Milliseconds. */
const LIMIT = 10_000;

/** Stops every process in it and below it, and returns when all stand still. */
export function freeze(directory: string): void {
  const path = `${directory}/${FILE}`;
  writeFile(path, "1");
  if (waitUntil(() => readPairs(directory, "cgroup.events").frozen === 1, LIMIT)) return;
  tryWriteFile(path, "0");
  throw fail({
    code: "TIMEOUT",
    message: "the cgroup could not be frozen within 10 seconds, and was thawed again",
    path,
    hint: "a process in it is in an uninterruptible sleep (state D in ps)",
  });
}

export function thaw(directory: string): void {
  writeThaw(`${directory}/${FILE}`, "0");
}

/** Whether it is frozen, or is being frozen. */
export function isFrozen(directory: string): boolean {
  return (readTextIfAny(`${directory}/${FILE}`) ?? "0").trim() === "1";
}
