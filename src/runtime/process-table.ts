/**
 * Tables of processes, made from procfs: any columns as cells, and `ps -ef` laid out as ps(1) does it, for a host that
 * has no ps(1). Not here: which columns there are (process-columns.ts).
 */
import { readTextIfAny } from "../kernel/file.ts";
import { type Column, FULL_COLUMNS, type Names, namesOf } from "./process-columns.ts";
import { processInfo, uptime } from "./process-info.ts";

/** As wide as ps(1) makes them. The first and the two behind STIME begin at the left, as STIME does. */
const WIDTHS = [8, 7, 7, 2, 5, 8, 8];
const LEFT = [true, false, false, false, true, true, false];

/** Texts of the container's own passwd(5) and group(5), where IDs are to be its users'. */
export interface UserFiles {
  readonly passwd: string | undefined;
  readonly group: string | undefined;
}

/** Lines for the processes that are there, below a heading. */
export function processTable(pids: readonly number[]): string {
  const rows = processCells(pids, FULL_COLUMNS);
  return [FULL_COLUMNS.map(({ heading }) => heading), ...rows].map((row) => `${line(row)}\n`).join("");
}

/** Cells for the processes that are there, a row each. IDs are the host's users' without `files`. */
export function processCells(
  pids: readonly number[],
  columns: readonly Column[],
  files?: UserFiles,
): string[][] {
  const since = uptime();
  const processes = pids.flatMap((pid) => processInfo(pid, since) ?? []);
  const hostUsers = namesOf(readTextIfAny("/etc/passwd"));
  const hostGroups = namesOf(readTextIfAny("/etc/group"));
  const names: Names = {
    users: files === undefined ? hostUsers : namesOf(files.passwd),
    groups: files === undefined ? hostGroups : namesOf(files.group),
    hostUsers,
    hostGroups,
    inside: new Map(
      processes.map((process) => [process.pid, process.status("NSpid").split(/\s+/).at(-1) ?? "?"]),
    ),
  };
  return processes.map((process) => columns.map(({ cell }) => cell(process, names)));
}

function line(row: readonly string[]): string {
  const cells = row.slice(0, -1).map((cell, at) => {
    const width = WIDTHS[at] ?? 0;
    return LEFT[at] === true ? cell.padEnd(width) : cell.padStart(width);
  });
  return [...cells, row.at(-1)].join(" ");
}
