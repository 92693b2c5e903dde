/**
 * The end of the init: it waits for a word of `start` where that is asked for, and says that the program is next.
 * With --init the machine stays PID 1 and the program is its child. Pure. Not here: executing it (execute.ts).
 */
import {
  CLD_EXITED,
  F_SETFD,
  O_CLOEXEC,
  PR_SET_DUMPABLE,
  SIG_SETMASK,
  SIGCHLD,
  SOCK_CLOEXEC,
  TIOCSPGRP,
} from "../kernel/constants.ts";
import type { Process } from "../spec/runtime/config.ts";
import { jump, report, row, slot } from "./rows.ts";
import type { Arg, InitStep, Row } from "./step.ts";

const WORD = 0xffffffff;
const P_ALL = 0;
const WNOHANG_WEXITED = 5;

/** What the step is about: failures behind it are told to `start`. */
export const WAIT_FOR_START = "wait for start";

/**
 * Waits on the start socket; the connection takes the report channel's place. `open`: exec of an ordinary user may join
 * it meanwhile, which takes leave to trace it (pidfd_open(2), setns(2)); root needs none.
 */
export function waitForStartStep(open: boolean): InitStep {
  return {
    on: "init",
    field: "process",
    about: WAIT_FOR_START,
    rows: [
      // What `exec` runs meanwhile is under the filter that this process has yet to load: it must not trace it.
      row("prctl", [PR_SET_DUMPABLE, open ? 1 : 0, 0, 0, 0]),
      row("accept4", [{ fd: "start" }, 0, 0, SOCK_CLOEXEC], { store: "connection" }),
      row("dup3", [slot("connection"), { fd: "report" }, O_CLOEXEC]),
      row("close", [slot("connection")]),
    ],
  };
}

/** The slot in which the first step keeps the umask of ctr-bun's caller, where somebody wants it back. */
export const CALLERS_UMASK = "callers umask";

/** The umask of a container's program whose config has none, as of runc and crun. */
export const DEFAULT_UMASK = 0o022;

/** Leaves the program its umask and the descriptors that are to be kept. `umask`: where `process.user` has none. */
export function lastStep(process: Process, preserveFds: number, umask: Arg = DEFAULT_UMASK): InitStep {
  const rows: Row[] = [];
  for (let fd = 3; fd < 3 + preserveFds; fd++) rows.push(row("fcntl", [fd, F_SETFD, 0]));
  rows.push(row("umask", [process.user.umask ?? umask]));
  return {
    on: "init",
    field: "process.user.umask",
    about: "leave the program its umask and descriptors",
    rows,
  };
}

/** Says that execve is next. */
export function executingStep(): InitStep {
  return {
    on: "init",
    field: "process.args",
    about: "say that the program is next",
    rows: [report("executing")],
  };
}

/** --init: forks the program off, forwards every signal to it, reaps whatever is left to PID 1, ends with its code. */
export function initStep(): InitStep {
  const all = new Uint8Array(8).fill(0xff);
  const rows: Row[] = [
    row("rt_sigprocmask", [SIG_SETMASK, { bytes: all }, 0, 8]),
    row("memfd_create", ["sum", 1], { store: "sum" }),
    // clone, not clone3: seccomp profiles forbid that, as they cannot look into its struct.
    row("clone", [SIGCHLD, 0, 0, 0, 0], { store: "program", onZero: "program" }),
    row("close", [{ fd: "report" }]),
    row("rt_sigtimedwait", [{ bytes: all }, { at: "signal" }, 0, 8], {
      label: "forward",
      allow: "EINTR",
      onError: "forward",
    }),
    row("test", [slot("signal"), WORD, SIGCHLD], { onZero: "reap" }),
    row("kill", [slot("program"), slot("signal")], { allow: "any" }),
    jump("forward"),
    row("waitid", [P_ALL, 0, { at: "ended" }, WNOHANG_WEXITED, 0], {
      label: "reap",
      allow: "any",
      onError: "forward",
    }),
    // siginfo_t of a child (sigaction(2)): si_code at 8, si_pid at 16, si_status at 24.
    row("test", [{ slot: "ended", offset: 16 }, WORD, 0], { onZero: "forward" }),
    row("test", [{ slot: "ended", offset: 16 }, WORD, slot("program")], { onZero: "over" }),
    jump("reap"),
    row("test", [{ slot: "ended", offset: 8 }, WORD, CLD_EXITED], { label: "over", onZero: "exited" }),
    // 128 and the signal's number: the kernel adds for us.
    row("lseek", [slot("sum"), { slot: "ended", offset: 24 }, 0]),
    row("lseek", [slot("sum"), 128, 1], { store: "sum" }),
    row("exit_group", [slot("sum")]),
    row("exit_group", [{ slot: "ended", offset: 24 }], { label: "exited" }),
    row("setpgid", [0, 0], { label: "program" }),
    row("getpid", [], { store: "group" }),
    row("ioctl", [0, TIOCSPGRP, { at: "group" }], { allow: "any" }),
    row("rt_sigprocmask", [SIG_SETMASK, { bytes: new Uint8Array(8) }, 0, 8]),
    row("close", [slot("sum")]),
  ];
  return {
    on: "init",
    field: "process",
    about: "stay as PID 1: forward signals, reap, end with the program's code",
    rows,
    buffers: { signal: 128, ended: 128 },
  };
}
