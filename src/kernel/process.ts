/**
 * Processes: starting a program from a memfd, waiting, signals to them, limits, signal masks.
 * Not here: what the program does (machine/).
 */

import { callError, check } from "./check.ts";
import {
  AT_EMPTY_PATH,
  CLOSE_RANGE_CLOEXEC,
  F_DUPFD_CLOEXEC,
  F_SETFD,
  IOPRIO_WHO_PROCESS,
  PR_SET_CHILD_SUBREAPER,
  SIG_SETMASK,
  SIGCHLD,
  SIGKILL,
  WNOHANG,
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { cString, viewOf } from "./memory.ts";
import { addressOf, SPAWN_HEADER, SPAWN_ROW, spawnTable, sys, syscallNumber } from "./raw.ts";

/** What a spawned program gets. */
export interface SpawnRequest {
  /** Descriptor of the program's file (a memfd). */
  readonly program: number;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** Descriptors of ours that become 0, 1 and 2. */
  readonly stdio: readonly [number, number, number];
  /** Descriptors of ours that the program inherits under the same number. */
  readonly inherit: readonly number[];
}

const SIGNALS = 64;
const SIGSTOP = 19;
const SIG_IGN = 1n;
const NO_SIGNALS = new Uint8Array(8);
const ALL_SIGNALS = new Uint8Array(8).fill(0xff);

/** Addresses of C strings, ending in 0; `keep` holds the memory alive. */
function pointers(texts: readonly string[], keep: Uint8Array[]): Uint8Array {
  const table = new BigUint64Array(texts.length + 1);
  texts.forEach((text, index) => {
    const bytes = cString(text);
    keep.push(bytes);
    table[index] = BigInt(addressOf(bytes));
  });
  const bytes = new Uint8Array(table.buffer);
  keep.push(bytes);
  return bytes;
}

/**
 * Starts a program in a child that shares our memory until it executes (as vfork), with every signal at its
 * default and unblocked, and no descriptor but those named. Returns its pid.
 */
export function spawn(request: SpawnRequest): number {
  const action = new Uint8Array(32);
  const keep: Uint8Array[] = [action];
  const rows: (readonly number[])[] = [];
  const sigaction = syscallNumber("rt_sigaction");
  for (let signal = 1; signal <= SIGNALS; signal++) {
    if (signal !== SIGKILL && signal !== SIGSTOP) rows.push([sigaction, signal, addressOf(action), 0, 8]);
  }
  rows.push([syscallNumber("rt_sigprocmask"), SIG_SETMASK, addressOf(NO_SIGNALS), 0, 8]);
  // A source that an earlier row would overwrite is moved out of the way first.
  const dup3 = syscallNumber("dup3");
  const sources = request.stdio.map((fd, target) => {
    if (fd >= 3 || fd === target) return { fd, spare: false };
    return { fd: check(sys("fcntl", fd, F_DUPFD_CLOEXEC, 3), { syscall: "fcntl" }), spare: true };
  });
  sources.forEach(({ fd }, target) => {
    if (fd === target) rows.push([syscallNumber("fcntl"), fd, F_SETFD, 0]);
    else rows.push([dup3, fd, target, 0]);
  });
  // JavaScript engines set close-on-exec on inherited descriptors from 4 up only.
  rows.push([syscallNumber("close_range"), 3, 0xffffffff, CLOSE_RANGE_CLOEXEC]);
  for (const fd of request.inherit) rows.push([syscallNumber("fcntl"), fd, F_SETFD, 0]);
  const empty = cString("");
  const argv = pointers(request.argv, keep);
  const env = pointers(request.env, keep);
  keep.push(empty);
  rows.push([
    syscallNumber("execveat"),
    request.program,
    addressOf(empty),
    addressOf(argv),
    addressOf(env),
    AT_EMPTY_PATH,
  ]);

  const table = new Uint8Array(SPAWN_HEADER + rows.length * SPAWN_ROW);
  const words = new Uint32Array(table.buffer);
  rows.forEach((row, index) => {
    let at = (SPAWN_HEADER + index * SPAWN_ROW) / 4;
    for (const value of row) {
      words[at] = value;
      words[at + 1] = value >= 0 ? value / 0x100000000 : -1;
      at += 2;
    }
  });
  hearOfChildren();
  const previous = new Uint8Array(8);
  sys("rt_sigprocmask", SIG_SETMASK, ALL_SIGNALS, previous, 8);
  const pid = spawnTable(table);
  sys("rt_sigprocmask", SIG_SETMASK, previous, null, 8);
  for (const source of sources) if (source.spare) sys("close", source.fd);
  check(pid, { syscall: "clone", message: "cannot start the container's init" });
  const errno = words[2] ?? 0;
  if (errno === 0 || keep.length === 0) return pid;
  waitPid(pid);
  throw callError(errno, { syscall: "execveat", message: "cannot start the container's init" });
}

/** A parent that ignores SIGCHLD, as it may have inherited, never hears how its children end (wait(2)). */
export function hearOfChildren(): void {
  const action = new Uint8Array(32);
  const view = viewOf(action);
  sys("rt_sigaction", SIGCHLD, null, action, 8);
  if (view.getBigUint64(0, true) === SIG_IGN) sys("rt_sigaction", SIGCHLD, new Uint8Array(32), null, 8);
}

/** How a process ended. `code` is as shells see it: 128 and the signal's number for a signal. */
export interface Ending {
  readonly code: number;
  readonly signal: number | undefined;
}

/** wait4(2) for one child, blocking unless `noHang`; undefined: still running, or not our child. */
export function waitPid(pid: number, noHang = false): Ending | undefined {
  return wait(pid, noHang)?.ending;
}

/** Any child that has ended, ours by birth or by inheritance ({@link adoptOrphans}); undefined: none has. */
export function waitAny(): { readonly pid: number; readonly ending: Ending } | undefined {
  return wait(-1, true);
}

function wait(pid: number, noHang: boolean): { pid: number; ending: Ending } | undefined {
  const status = new Uint8Array(4);
  let result: number;
  do result = sys("wait4", pid, status, noHang ? WNOHANG : 0, null);
  while (result === -ERRNO.EINTR);
  if (result <= 0) return undefined;
  const word = viewOf(status).getUint32(0, true);
  const signal = word & 0x7f;
  const ending =
    signal === 0 ? { code: (word >> 8) & 0xff, signal: undefined } : { code: 128 + signal, signal };
  return { pid: result, ending };
}

/** From now on processes below us whose parent has ended become our children (PR_SET_CHILD_SUBREAPER(2const)). */
export function adoptOrphans(): void {
  check(sys("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), { syscall: "prctl" });
}

/** pidfd_open(2); the descriptor or -errno. */
export function tryPidfd(pid: number): number {
  return sys("pidfd_open", pid, 0);
}

/** kill(2); 0 or -errno. */
export function tryKill(pid: number, signal: number): number {
  return sys("kill", pid, signal);
}

/** pidfd_send_signal(2); 0 or -errno. */
export function trySignal(pidfd: number, signal: number): number {
  return sys("pidfd_send_signal", pidfd, signal, null, 0);
}

/** A resource limit of a process (0: our own), as prlimit(2) gives it; undefined where that tells us nothing. */
export function getLimit(pid: number, resource: number): { soft: bigint; hard: bigint } | undefined {
  const limit = new Uint8Array(16);
  if (sys("prlimit64", pid, resource, null, limit) < 0) return undefined;
  const view = viewOf(limit);
  return { soft: view.getBigUint64(0, true), hard: view.getBigUint64(8, true) };
}

/** Sets a resource limit of a process; 0 or -errno. */
export function trySetLimit(pid: number, resource: number, soft: bigint, hard: bigint): number {
  const limit = new Uint8Array(16);
  const view = viewOf(limit);
  view.setBigUint64(0, soft, true);
  view.setBigUint64(8, hard, true);
  return sys("prlimit64", pid, resource, limit, null);
}

/** What sched_setattr(2) takes; times in nanoseconds. */
export interface SchedulerAttributes {
  readonly policy: number;
  readonly flags: number;
  readonly nice: number;
  readonly priority: number;
  readonly runtime: bigint;
  readonly deadline: bigint;
  readonly period: bigint;
}

/** struct sched_attr with the utilization clamps (include/uapi/linux/sched/types.h). */
const SCHED_ATTR_SIZE_VER1 = 56;

/** Sets how the kernel schedules a process; 0 or -errno. */
export function trySetScheduler(pid: number, attributes: SchedulerAttributes): number {
  const bytes = new Uint8Array(SCHED_ATTR_SIZE_VER1);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.byteLength, true);
  view.setUint32(4, attributes.policy, true);
  view.setBigUint64(8, BigInt(attributes.flags), true);
  view.setInt32(16, attributes.nice, true);
  view.setUint32(20, attributes.priority, true);
  view.setBigUint64(24, attributes.runtime, true);
  view.setBigUint64(32, attributes.deadline, true);
  view.setBigUint64(40, attributes.period, true);
  return sys("sched_setattr", pid, bytes, 0);
}

/** Sets the I/O priority of a process, class and level in one number (ioprio_set(2)); 0 or -errno. */
export function trySetIoPriority(pid: number, priority: number): number {
  return sys("ioprio_set", IOPRIO_WHO_PROCESS, pid, priority);
}
