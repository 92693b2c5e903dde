/**
 * What procfs tells of a process, by name, read when it is asked for. Source: proc_pid_stat(5), proc_pid_status(5).
 * Not here: columns and tables of it (process-columns.ts, process-table.ts).
 */
import { readTextIfAny } from "../kernel/file.ts";

/** USER_HZ, the unit of times in proc_pid_stat(5): 100 on every architecture. */
const TICKS = 100;

/** A process that was there when it was looked at. */
export interface ProcessInfo {
  readonly pid: number;
  /** Its name, of at most 15 bytes. */
  readonly name: string;
  /** A field of proc_pid_stat(5) from 4 on, by its number there. */
  stat(field: number): number;
  /** Letter of its state. */
  readonly state: string;
  /** A line of proc_pid_status(5); empty where there is none. */
  status(key: string): string;
  /** Arguments, parted by blanks; empty for a kernel thread. */
  readonly command: string;
  /** Label of a security module; empty without one. */
  readonly label: string;
  /** Seconds since it began, and of CPU time that it used. */
  readonly age: number;
  readonly used: number;
}

/** Undefined for a process that has gone. @param uptime seconds since the host started. */
export function processInfo(pid: number, uptime: number): ProcessInfo | undefined {
  const stat = read(pid, "stat");
  const status = read(pid, "status");
  if (stat === undefined || status === undefined || stat === "") return undefined;
  // The name in parentheses may hold anything.
  const open = stat.indexOf("(");
  const close = stat.lastIndexOf(")");
  const fields = stat.slice(close + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  return {
    pid,
    name: stat.slice(open + 1, close),
    stat: field,
    state: fields[0] ?? "?",
    status: (key) => new RegExp(`^${key}:[ \\t]*(.*)$`, "m").exec(status)?.[1] ?? "",
    get command() {
      return (read(pid, "cmdline") ?? "").replace(/\0+$/, "").replaceAll("\0", " ");
    },
    get label() {
      return (read(pid, "attr/current") ?? "").replace(/[\0\n]+$/, "");
    },
    age: Math.max(uptime - field(22) / TICKS, 0),
    used: (field(14) + field(15)) / TICKS,
  };
}

/** Seconds since the host started. */
export function uptime(): number {
  return Number((readTextIfAny("/proc/uptime") ?? "0").split(" ")[0]);
}

function read(pid: number, file: string): string | undefined {
  try {
    return readTextIfAny(`/proc/${pid}/${file}`);
  } catch {
    // ESRCH: it ended meanwhile. EINVAL: no security module has labels.
    return undefined;
  }
}
