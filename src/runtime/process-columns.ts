/**
 * Columns of a table of processes, by the names that ps(1) and Podman's `top` have for them.
 * Not here: what procfs tells (process-info.ts), or how a table is laid out (process-table.ts, cli).
 */
import { CAPABILITIES } from "../kernel/capabilities.ts";
import type { ProcessInfo } from "./process-info.ts";

/** A column, and its cell for a process. */
export interface Column {
  readonly heading: string;
  cell(process: ProcessInfo, names: Names): string;
}

/** Who IDs are; what has no name there is shown as its number. */
export interface Names {
  readonly users: ReadonlyMap<string, string>;
  readonly groups: ReadonlyMap<string, string>;
  /** Those of the host, where the others are the container's. */
  readonly hostUsers: ReadonlyMap<string, string>;
  readonly hostGroups: ReadonlyMap<string, string>;
  /** PID as the container has it, by the host's; what is not in there is not of the container. */
  readonly inside: ReadonlyMap<number, string>;
}

/** ID to name, from the text of a passwd(5) or group(5) file. The first one counts. */
export function namesOf(text: string | undefined): Map<string, string> {
  const names = new Map<string, string>();
  for (const entry of (text ?? "").split("\n")) {
    const [name, , id] = entry.split(":");
    if (name && id !== undefined && !names.has(id)) names.set(id, name);
  }
  return names;
}

/** Major numbers of terminals (Documentation/admin-guide/devices.txt). */
const [TTY_MAJOR, PTS_FIRST, PTS_LAST] = [4, 136, 143];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const PAGE_KIBIBYTES = 4;

const column = (heading: string, cell: Column["cell"]): Column => ({ heading, cell });

/** In lines of proc_pid_status(5) the IDs are real, effective, saved, and of the file system. */
const [REAL, EFFECTIVE] = [0, 1];
const id = (process: ProcessInfo, key: "Uid" | "Gid", which: number): string =>
  process.status(key).split(/\s+/)[which] ?? "?";
const named = (names: ReadonlyMap<string, string>, text: string): string => names.get(text) ?? text;
const user = (heading: string, which: number): Column =>
  column(heading, (process, { users }) => named(users, id(process, "Uid", which)));
const group = (heading: string, which: number): Column =>
  column(heading, (process, { groups }) => named(groups, id(process, "Gid", which)));
const groupsOf = (process: ProcessInfo, names: ReadonlyMap<string, string>): string => {
  const ids = process.status("Groups").trim();
  // As ps(1) has it for none.
  return ids === ""
    ? "-"
    : ids
        .split(/\s+/)
        .map((gid) => named(names, gid))
        .join(",");
};
const last = (text: string): string => text.split(/\s+/).at(-1) ?? "?";
const capabilities = (heading: string, key: string): Column =>
  column(heading, (process) => capabilityNames(BigInt(`0x${process.status(key) || "0"}`)));

/** A program names itself as it likes, and a terminal obeys what it is shown. */
const plain = (text: string): string => text.replace(/\p{Cc}/gu, "?");
const ARGUMENTS: Column["cell"] = ({ command, name }) => plain(command === "" ? `[${name}]` : command);
const SHARE: Column["cell"] = ({ age, used }) =>
  String(age > 0 ? Math.min(Math.floor((used * 100) / age), 99) : 0);

/** What is the same in the host's words and in the container's. */
const COMMON: Readonly<Record<string, Column>> = {
  args: column("COMMAND", ARGUMENTS),
  comm: column("COMMAND", ({ name }) => plain(name)),
  etime: column("ELAPSED", ({ age }) => elapsed(age)),
  nice: column("NI", (process) => String(process.stat(19))),
  pcpu: column("%CPU", ({ age, used }) => (age > 0 ? (used * 100) / age : 0).toFixed(1)),
  rss: column("RSS", (process) => String(process.stat(24) * PAGE_KIBIBYTES)),
  state: column("S", ({ state }) => state),
  stime: column("STIME", ({ age }) => startText(age)),
  time: column("TIME", ({ used }) => clock(used)),
  tty: column("TTY", (process) => terminalName(process.stat(7))),
  vsz: column("VSZ", (process) => String(Math.floor(process.stat(23) / 1024))),
  user: user("USER", EFFECTIVE),
  ruser: user("RUSER", REAL),
  group: group("GROUP", EFFECTIVE),
  rgroup: group("RGROUP", REAL),
};

/** Of ps(1), for -o: the host's numbers. */
export const PS_COLUMNS: Readonly<Record<string, Column>> = {
  ...COMMON,
  "%cpu": column("%CPU", COMMON.pcpu?.cell ?? ARGUMENTS),
  c: column("C", SHARE),
  cmd: column("CMD", ARGUMENTS),
  command: column("COMMAND", ARGUMENTS),
  cputime: column("TIME", ({ used }) => clock(used)),
  egid: column("EGID", (process) => id(process, "Gid", EFFECTIVE)),
  egroup: group("EGROUP", EFFECTIVE),
  etimes: column("ELAPSED", ({ age }) => String(Math.floor(age))),
  euid: column("EUID", (process) => id(process, "Uid", EFFECTIVE)),
  euser: user("EUSER", EFFECTIVE),
  gid: column("GID", (process) => id(process, "Gid", EFFECTIVE)),
  ni: column("NI", (process) => String(process.stat(19))),
  nlwp: column("NLWP", (process) => String(process.stat(20))),
  pgid: column("PGID", (process) => String(process.stat(5))),
  pid: column("PID", ({ pid }) => String(pid)),
  ppid: column("PPID", (process) => String(process.stat(4))),
  rgid: column("RGID", (process) => id(process, "Gid", REAL)),
  ruid: column("RUID", (process) => id(process, "Uid", REAL)),
  s: column("S", ({ state }) => state),
  sid: column("SID", (process) => String(process.stat(6))),
  thcount: column("THCNT", (process) => String(process.stat(20))),
  tname: column("TTY", (process) => terminalName(process.stat(7))),
  tt: column("TT", (process) => terminalName(process.stat(7))),
  uid: column("UID", (process) => id(process, "Uid", EFFECTIVE)),
  vsize: column("VSZ", (process) => String(Math.floor(process.stat(23) / 1024))),
};

/** Of Podman's top: numbers and names as they are in the container, those of the host behind an h. */
export const PODMAN_COLUMNS: Readonly<Record<string, Column>> = {
  ...COMMON,
  capamb: capabilities("AMBIENT CAPS", "CapAmb"),
  capbnd: capabilities("BOUNDING CAPS", "CapBnd"),
  capeff: capabilities("EFFECTIVE CAPS", "CapEff"),
  capinh: capabilities("INHERITED CAPS", "CapInh"),
  capprm: capabilities("PERMITTED CAPS", "CapPrm"),
  groups: column("GROUPS", (process, { groups }) => groupsOf(process, groups)),
  hgroup: column("HGROUP", (process, { hostGroups }) => named(hostGroups, id(process, "Gid", EFFECTIVE))),
  hgroups: column("HGROUPS", (process, { hostGroups }) => groupsOf(process, hostGroups)),
  hpid: column("HPID", ({ pid }) => String(pid)),
  huser: column("HUSER", (process, { hostUsers }) => named(hostUsers, id(process, "Uid", EFFECTIVE))),
  label: column("LABEL", ({ label }) => label || "?"),
  pgid: column("PGID", (process) => last(process.status("NSpgid"))),
  pid: column("PID", (process) => last(process.status("NSpid"))),
  // The parent of the first one, and of what entered from outside, is none of the container's.
  ppid: column("PPID", (process, { inside }) => inside.get(process.stat(4)) ?? "0"),
  state: column("STATE", ({ state }) => state),
  seccomp: column(
    "SECCOMP",
    (process) => ["disabled", "strict", "filter"][Number(process.status("Seccomp"))] ?? "?",
  ),
};

/** The columns of `ps -ef`. */
export const FULL_COLUMNS: readonly Column[] = [
  column("UID", (process, { users }) => {
    const name = named(users, id(process, "Uid", EFFECTIVE));
    // A name that does not fit is cut, as ps(1) does it.
    return name.length > 8 ? `${name.slice(0, 7)}+` : name;
  }),
  column("PID", ({ pid }) => String(pid)),
  column("PPID", (process) => String(process.stat(4))),
  column("C", SHARE),
  column("STIME", ({ age }) => startText(age)),
  column("TTY", (process) => terminalName(process.stat(7))),
  column("TIME", ({ used }) => clock(used)),
  column("CMD", ARGUMENTS),
];

/** As Podman writes them: without CAP_. */
function capabilityNames(bits: bigint): string {
  const names = CAPABILITIES.filter((_, number) => (bits >> BigInt(number)) & 1n);
  if (names.length === 0) return "none";
  if (names.length === CAPABILITIES.length) return "full";
  return names.map((name) => name.slice("CAP_".length)).join(",");
}

/** When a process of that age, in seconds, began: the time today, the day before that, the year before this one. */
function startText(age: number): string {
  const now = new Date();
  const start = new Date(now.getTime() - age * 1000);
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

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Seconds as hh:mm:ss. */
function clock(seconds: number): string {
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60]
    .map(two)
    .join(":");
}

/** Seconds as [[dd-]hh:]mm:ss. */
export function elapsed(age: number): string {
  const [days, hours] = [Math.floor(age / 86400), Math.floor(age / 3600) % 24];
  const rest = `${two(Math.floor(age / 60) % 60)}:${two(Math.floor(age) % 60)}`;
  if (days > 0) return `${two(days)}-${two(hours)}:${rest}`;
  return hours > 0 ? `${two(hours)}:${rest}` : rest;
}
