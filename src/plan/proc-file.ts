/**
 * Files of /proc/self that the init writes: opened while that is still the host's own procfs and the process its owner,
 * and written then, or later, when what they tell of stands. Pure.
 */
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from "../kernel/constants.ts";
import { row, slot } from "./rows.ts";
import type { Row } from "./step.ts";

/** Opens it. */
export function openProcFileRow(path: string): Row {
  return row("openat", [AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0], { store: "proc.file" });
}

/** Writes what was opened. */
export function writeProcFileRows(text: string): Row[] {
  return [row("write", [slot("proc.file"), text, text.length]), row("close", [slot("proc.file")])];
}
