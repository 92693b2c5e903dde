/**
 * The table of `ps -ef`, from procfs, for a host that has no ps(1). Source: ps(1), proc_pid_stat(5), proc_pid_status(5).
 */
import { readTextIfAny } from "../kernel/file.ts";

/** USER_HZ, the unit of times in proc_pid_stat(5): 100 on every architecture. */
const TICKS = 100;
/** Major numbers of terminals (Documentation/admin-guide/devices.txt). */
const [TTY_MAJOR, PTS_FIRST, PTS_LAST] = [4, 136, 143];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** Fields of one process, in the order of the columns. */
type Row = readonly [
  user: string,
  pid: string,
  parent: string,
  share: string,
  start: string,
  tty: string,
  time: string,
  command: string,
];

const HEADING: Row = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
/** As wide as ps(1) makes them. The first and the two behind STIME begin at the left, as STIME does. */
const WIDTHS = [8, 7, 7, 2, 5, 8, 8];
const LEFT = [true, false, false, false, true, true, false];

/** Lines for the processes that are there, below a heading. */
export function processTable(pids: readonly number[]): string {
  const users = userNames();
  const rows = pids.flatMap((pid) => rowOf(pid, users) ?? []);
  return [HEADING, ...rows].map((row) => `${line(row)}\n`).join("");
}

function line(row: Row): string {
  const cells = row.slice(0, -1).map((cell, at) => {
    const width = WIDTHS[at] ?? 0;
    return LEFT[at] === true ? cell.padEnd(width) : cell.padStart(width);
  });
  return [...cells, row.at(-1)].join(" ");
}

/** UID to name, by the host's own passwd. */
function userNames(): Map<string, string> {
  const names = new Map<string, string>();
  for (const entry of (readTextIfAny("/etc/passwd") ?? "").split("\n")) {
    const [name, , uid] = entry.split(":");
    if (name !== undefined && uid !== undefined && !names.has(uid)) names.set(uid, name);
  }
  return names;
}

function read(pid: number, file: string): string | undefined {
  try {
    return readTextIfAny(`/proc/${pid}/${file}`);
  } catch {
    // ESRCH: it ended meanwhile.
    return undefined;
  }
}

/** None for a process that has gone. As a list of rows, so that a row is no list to flatten. */
function rowOf(pid: number, users: ReadonlyMap<string, string>): [Row] | undefined {
  const stat = read(pid, "stat");
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(read(pid, "status") ?? "")?.[1];
  if (stat === undefined || uid === undefined) return undefined;
  // The name in parentheses may hold anything.
  const open = stat.indexOf("(");
  const close = stat.lastIndexOf(")");
  const fields = stat.slice(close + 2).split(" ");
  const number = (field: number): number => Number(fields[field - 3] ?? 0);
  const uptime = Number((readTextIfAny("/proc/uptime") ?? "0").split(" ")[0]);
  const used = (number(14) + number(15)) / TICKS;
  const age = Math.max(uptime - number(22) / TICKS, 0);
  const share = age > 0 ? Math.min(Math.floor((used * 100) / age), 99) : 0;
  const command = (read(pid, "cmdline") ?? "").replace(/\0+$/, "").replaceAll("\0", " ");
  const name = users.get(uid) ?? uid;
  return [
    [
      // A name that does not fit is cut, as ps(1) does it.
      name.length > 8 ? `${name.slice(0, 7)}+` : name,
      String(pid),
      String(number(4)),
      String(share),
      startText(age),
      terminalName(number(7)),
      clock(used),
      command === "" ? `[${stat.slice(open + 1, close)}]` : command.replace(/[\p{Cc}]/gu, "?"),
    ],
  ];
}

/** When a process of that age, in seconds, began: the time today, the day before that, the year before this one. */
function startText(age: number): string {
  const now = new Date();
  const start = new Date(now.getTime() - age * 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (start.toDateString() === now.toDateString())
    return `${two(start.getHours())}:${two(start.getMinutes())}`;
  if (start.getFullYear() === now.getFullYear()) return `${MONTHS[start.getMonth()]}${two(start.getDate())}`;
  return String(start.getFullYear());
}

/** Name of the device that tty_nr numbers (proc_pid_stat(5), field 7). */
export function terminalName(device: number): string {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  if (major === TTY_MAJOR) return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`;
  if (major >= PTS_FIRST && major <= PTS_LAST) return `pts/${(major - PTS_FIRST) * 256 + minor}`;
  return device === 0 ? "?" : `${major}:${minor}`;
}

/** Seconds as hh:mm:ss. */
function clock(seconds: number): string {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}
