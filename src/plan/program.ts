/**
 * The end of the init: the program is looked up, started by a word of `start` where that is asked for, and executed.
 * With --init the machine stays PID 1 and the program is its child. Pure.
 */
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLD_EXITED,
  F_SETFD,
  O_CLOEXEC,
  SIG_SETMASK,
  SIGCHLD,
  SOCK_CLOEXEC,
  STATX_BASIC_STATS,
  TIOCSPGRP,
} from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import type { Process } from "../spec/runtime/config.ts";
import { jump, report, row, slot } from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const WORD = 0xffffffff;
const P_ALL = 0;
const WNOHANG_WEXITED = 5;

/** A negative errno as a test compares it: the low 32 bits. */
function minus(errno: number): number {
  return 0x100000000 - errno;
}

/** Files that execvp(3) would try, in order. */
export function candidates(process: Process): string[] {
  const program = process.args[0] ?? "";
  if (program.includes("/")) return [program];
  const path = process.env?.findLast((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH;
  return path.split(":").map((directory) => `${directory === "" ? "." : directory}/${program}`);
}

/** Looks the program up as the user that it will run as, so that `create` already says when it is not there. */
export function lookupStep(process: Process): InitStep {
  const files = candidates(process);
  const rows: Row[] = files.flatMap((file, index) => [
    row("faccessat2", [AT_FDCWD, file, 1, AT_EACCESS], {
      store: "lookup",
      allow: "any",
      onZero: "found",
      label: `lookup ${index}`,
    }),
    row("test", [slot("lookup"), WORD, minus(ERRNO.EACCES)], { store: `lookup.denied ${index}` }),
  ]);
  files.forEach((_, index) => {
    rows.push(row("test", [slot(`lookup.denied ${index}`), 1, 0], { onZero: "lookup.eacces" }));
  });
  rows.push(
    row("fail", [-ERRNO.ENOENT, { label: "lookup 0" }]),
    row("fail", [-ERRNO.EACCES, { label: "lookup 0" }], { label: "lookup.eacces" }),
    row("getpid", [], { label: "found" }),
  );
  return {
    on: "init",
    field: "process.args[0]",
    about: `look up ${process.args[0]}`,
    path: process.args[0] ?? "",
    rows,
  };
}

/** Waits on the start socket; the connection takes the report channel's place. */
export function waitForStartStep(): InitStep {
  return {
    on: "init",
    field: "process",
    about: "wait for start",
    rows: [
      row("accept4", [{ fd: "start" }, 0, 0, SOCK_CLOEXEC], { store: "connection" }),
      row("dup3", [slot("connection"), { fd: "report" }, O_CLOEXEC]),
      row("close", [slot("connection")]),
    ],
  };
}

/** Leaves the program its umask and the descriptors that are to be kept. */
export function lastStep(process: Process, preserveFds: number): InitStep {
  const rows: Row[] = [];
  for (let fd = 3; fd < 3 + preserveFds; fd++) rows.push(row("fcntl", [fd, F_SETFD, 0]));
  rows.push(row("umask", [process.user.umask ?? 0o022]));
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

/** Of variables that are given twice, the last one counts (as in runc): getenv(3) would find the first. */
function environment(entries: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of entries) byName.set(entry.split("=", 1)[0] ?? "", entry);
  return [...byName.values()];
}

/** execve of the candidates in turn: EACCES is remembered and wins over ENOENT, everything else ends the search. */
export function executeStep(process: Process): InitStep {
  const files = candidates(process);
  const argv = { words: [...process.args, 0] };
  const envp = { words: [...environment(process.env ?? []), 0] };
  const rows: Row[] = [];
  files.forEach((file, index) => {
    const next = `execute ${index + 1}`;
    rows.push(
      row("execve", [file, argv, envp], { store: "execute", allow: "any", label: `execute ${index}` }),
      row("test", [slot("execute"), WORD, minus(ERRNO.ENOENT)], { onZero: next }),
      row("test", [slot("execute"), WORD, minus(ERRNO.ENOTDIR)], { onZero: next }),
      row("test", [slot("execute"), WORD, minus(ERRNO.EACCES)], { onZero: `denied ${index}` }),
      row("fail", [slot("execute"), { label: `execute ${index}` }]),
      row("test", [1, 1, 0], { store: "execute.denied", label: `denied ${index}` }),
    );
  });
  rows.push(
    row("test", [slot("execute.denied"), 1, 0], {
      onZero: "execute.enoent",
      label: `execute ${files.length}`,
    }),
    row("fail", [-ERRNO.EACCES, { label: "execute 0" }]),
    row("fail", [-ERRNO.ENOENT, { label: "execute 0" }], { label: "execute.enoent" }),
  );
  return {
    on: "init",
    field: "process.args[0]",
    about: `execute ${process.args[0]}`,
    path: process.args[0] ?? "",
    rows,
    hints: {
      ENOEXEC: "the file is neither an executable of this architecture nor a script with a #! line",
      E2BIG: "process.args and process.env together are too long",
    },
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

/** Gives the program's user the descriptors 0, 1 and 2, so that it may open them anew; never the null device. */
export function stdioStep(process: Process): InitStep[] {
  const { uid } = process.user;
  if (uid === 0 || process.terminal === true) return [];
  const rows = [0, 1, 2].flatMap((fd) => [
    row("statx", [fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, { at: "stdio" }], {
      allow: "any",
      onError: `owned ${fd}`,
    }),
    row("test", [{ slot: "stdio", offset: 128 }, 0xffffffffffffffffn, 0x300000001n], {
      onZero: `owned ${fd}`,
    }),
    row("fchown", [fd, uid, -1], { allow: "any" }),
    row("fcntl", [fd, F_SETFD, 0], { allow: "any", label: `owned ${fd}` }),
  ]);
  return [
    {
      on: "init",
      field: "process.user.uid",
      about: "own the standard streams",
      rows,
      buffers: { stdio: 256 },
    },
  ];
}
