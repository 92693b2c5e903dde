/** The working directory: made where it is missing, entered, and checked to lie inside the root (rule R3). */
import type { Process } from "../spec/runtime/config.ts";
import type { PlanFacts } from "./input.ts";
import { reachRows } from "./paths.ts";
import { row, slot } from "./rows.ts";
import type { InitStep } from "./step.ts";

/** Makes process.cwd in the root, before it may become read-only. */
export function makeDirectorySteps(process: Process, facts: Pick<PlanFacts, "cwd">): InitStep[] {
  const { cwd } = facts;
  if (cwd === undefined || cwd.missing === 0) return [];
  return [
    {
      on: "init",
      field: "process.cwd",
      about: `make ${process.cwd}`,
      path: process.cwd,
      rows: reachRows({ path: cwd.destination, missing: cwd.missing, file: false, into: "cwd" }),
      hints: { EROFS: "the working directory does not exist and lies in a read-only file system" },
    },
  ];
}

/** Before the user changes: root may enter what the user may not. */
export function enterDirectoryStep(process: Process): InitStep {
  return {
    on: "init",
    field: "process.cwd",
    about: `enter ${process.cwd}`,
    path: process.cwd,
    rows: [row("chdir", [process.cwd], { allow: "EACCES", store: "entered" })],
    hints: DIRECTORY_HINTS,
  };
}

/** After the user changed: where root could not enter, the user may; then where we are must be inside the root. */
export function checkDirectoryStep(process: Process): InitStep {
  return {
    on: "init",
    field: "process.cwd",
    about: `be in ${process.cwd}, inside the root`,
    path: process.cwd,
    buffers: { "cwd.path": 4096 },
    rows: [
      row("test", [slot("entered"), 0xffffffff, 0], { onZero: "cwd.entered" }),
      row("chdir", [process.cwd]),
      row("getcwd", [{ at: "cwd.path" }, 4096], { label: "cwd.entered" }),
      row("test", [slot("cwd.path"), 0xff, 0x2f], { onZero: "cwd.inside" }),
      row("fail", [-1, { label: "cwd.outside" }], { label: "cwd.outside" }),
      row("getpid", [], { label: "cwd.inside" }),
    ],
    hints: { ...DIRECTORY_HINTS, EPERM: "the working directory lies outside the container's root" },
  };
}

const DIRECTORY_HINTS = {
  ENOTDIR: "process.cwd is not a directory",
  EACCES: "the user may not enter process.cwd",
};
