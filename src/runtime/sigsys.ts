/**
 * A process that a seccomp filter has ended: which call it made, what of the profile forbids it, and how to allow it.
 * Looked up in the kernel's log after the death, and only then. Not here: the log's lines (kernel/audit.ts), what of a
 * profile answers a call (the seccomp driver).
 */
import type { DriverRegistry, SeccompCause } from "../driver.ts";
import { type SeccompLine, tryReadSeccompLines } from "../kernel/audit.ts";
import { errnoName } from "../kernel/errno.ts";
import { readTextIfAny } from "../kernel/file.ts";
import { inFirstPidNamespace } from "../kernel/namespaces.ts";
import { poll } from "../kernel/poll.ts";
import { SECCOMP_RET_ACTION_FULL, SECCOMP_RET_TRAP } from "../kernel/seccomp.ts";
import { SIGSYS } from "../kernel/signal.ts";
import type { LinuxSeccomp } from "../spec/runtime/config.ts";
import { SECCOMP_ARCHITECTURES } from "../spec/runtime/seccomp.ts";
import { probeHost } from "./host.ts";

/** Exit code of a program that SIGSYS ended, and of a shell whose last program it ended. */
const SIGSYS_CODE = 128 + SIGSYS;

/** Whose death is to be explained. */
export interface Death {
  /** As ctr-bun sees it. */
  readonly pid: number;
  /** Milliseconds since 1970; it was not there before. */
  readonly since: number;
  /** linux.seccomp, if the container has that. */
  readonly profile: LinuxSeccomp | undefined;
  readonly registry: DriverRegistry;
}

/** The kernel stamps lines with the time of its last tick, 10 ms ago at most (CONFIG_HZ). */
const TICK = 10;
/** kauditd writes the line some time after the death; in milliseconds. */
const PATIENCE = 150;
const LOOK_AGAIN = 5;

/** One that SIGSYS ended. `who`: `the program`. Waits some milliseconds for the line. */
export function whySigsys(death: Death, who: string): string {
  const killed = `${who} was killed by SIGSYS`;
  const found = waitFor(death, lineOf);
  if (typeof found === "number") return `${killed}, ${unreadable(-found)}`;
  return found === undefined ? `${killed}, ${untold(death)}` : `${killed} ${told(found)}`;
}

/** One that has ended, and may have been by SIGSYS: what the log has of it, if anything. */
export function ifSigsys(death: Death, who: string): string | undefined {
  const found = waitFor(death, lineOf);
  return typeof found === "object" ? `${who} was killed by SIGSYS ${told(found)}` : undefined;
}

/**
 * A program that has ended with 159, as a shell does whose program SIGSYS has ended: what the log has of some process
 * since then, if the profile would have done that. The process itself is gone, and with it what tells whose it was.
 */
export function whyCode(death: Death): string | undefined {
  if (death.profile === undefined) return undefined;
  const found = waitFor(death, byProfile);
  if (typeof found !== "object") return undefined;
  return `exit code ${SIGSYS_CODE} stands for SIGSYS, which has killed a process ${told(found)}`;
}

interface Found {
  readonly line: SeccompLine;
  readonly cause: SeccompCause | undefined;
}

/** Undefined: the log has none; -errno: it cannot be read. */
function waitFor(death: Death, find: typeof lineOf): Found | undefined | number {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const lines = tryReadSeccompLines();
    if (typeof lines === "number") return lines;
    const found = find(death, lines);
    if (found !== undefined || performance.now() >= end) return found;
    poll([], LOOK_AGAIN);
  }
}

/** The line of the process; where its number in the log is not ours, the last that the profile accounts for. */
function lineOf(death: Death, lines: readonly SeccompLine[]): Found | undefined {
  if (!inFirstPidNamespace()) return byProfile(death, lines);
  const line = deadly(death, lines).findLast(({ pid }) => pid === death.pid);
  return line === undefined ? undefined : { line, cause: causeOf(death, line) };
}

function byProfile(death: Death, lines: readonly SeccompLine[]): Found | undefined {
  for (const line of deadly(death, lines).toReversed()) {
    const cause = causeOf(death, line);
    if (cause !== undefined && cause.fields.length > 0) return { line, cause };
  }
  return undefined;
}

/** SCMP_ACT_TRAP sends a signal that the program may handle: its line, if there is one, tells of none. */
function deadly({ since }: Death, lines: readonly SeccompLine[]): SeccompLine[] {
  return lines.filter(
    ({ time, signal, answer }) =>
      time >= since - TICK && (signal === SIGSYS || (answer & SECCOMP_RET_ACTION_FULL) === SECCOMP_RET_TRAP),
  );
}

/** Kills nothing: a container without a profile. */
const NO_PROFILE: LinuxSeccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  architectures: [...SECCOMP_ARCHITECTURES],
};

/** Undefined with a user's own driver that has no workbench. */
function causeOf({ profile = NO_PROFILE, registry }: Death, line: SeccompLine): SeccompCause | undefined {
  const host = probeHost();
  return registry.choose("seccomp", host).workbench?.().cause(profile, host.arch, line);
}

function told({ line: { comm, number }, cause }: Found): string {
  const when = `when ${JSON.stringify(comm)} called ${cause?.call ?? `system call ${number}`}`;
  if (cause === undefined) return when;
  const { fields, action, remedy } = cause;
  if (fields.length === 0) {
    return `${when}: not by linux.seccomp, but by a filter of its own, or one that ctr-bun itself runs under`;
  }
  const by = fields.includes("linux.seccomp.architectures")
    ? "linux.seccomp.architectures does not have its architecture"
    : `${fields.join(" or ")} has ${action} for it`;
  return `${when}: ${by}${remedy === undefined ? "" : `; to allow it, ${remedy}`}`;
}

/** The log has no line of it. */
function untold({ profile }: Death): string {
  const traps = [profile?.defaultAction, ...(profile?.syscalls ?? []).map(({ action }) => action)];
  const unlogged =
    traps.includes("SCMP_ACT_TRAP") && profile?.flags?.includes("SECCOMP_FILTER_FLAG_LOG") !== true
      ? "SCMP_ACT_TRAP is logged only with SECCOMP_FILTER_FLAG_LOG in linux.seccomp.flags"
      : "of many such messages in a short time it keeps a few";
  return `and the kernel's log does not say for which call: ${unlogged}`;
}

/** syslog(2): CAP_SYSLOG of the first user namespace, unless kernel.dmesg_restrict is 0. */
function unreadable(errno: number): string {
  const restricted = readTextIfAny("/proc/sys/kernel/dmesg_restrict")?.trim() === "1";
  const needs = restricted ? "CAP_SYSLOG, or sysctl kernel.dmesg_restrict=0" : "CAP_SYSLOG";
  return `and the kernel's log, which says for which call, cannot be read (syslog: ${errnoName(errno)}): it takes ${needs}`;
}
