/**
 * A hook's process in the runtime namespace, waited for without the event loop: what it leaves running may hold its
 * streams open, and is not waited for. Not here: which hooks, and errors (hooks.ts).
 */
import { check } from "../kernel/check.ts";
import { O_APPEND, O_CLOEXEC, O_CREAT, O_WRONLY, POLLIN } from "../kernel/constants.ts";
import { close, open } from "../kernel/file.ts";
import { documentMemfd } from "../kernel/memfd.ts";
import { viewOf } from "../kernel/memory.ts";
import { poll } from "../kernel/poll.ts";
import { type Ending, hearOfChildren, tryPidfd, trySignal, waitPid } from "../kernel/process.ts";
import { sys } from "../kernel/raw.ts";
import { SIGKILL } from "../kernel/signal.ts";
import { listenTo, type Said } from "./hook-said.ts";

export interface HookCommand {
  readonly path: string;
  /** With the name first. */
  readonly argv: readonly string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly input: Uint8Array;
  /** Seconds. */
  readonly timeout: number | undefined;
  /** Files that it writes to, at their end; without, the end of what it says is kept. */
  readonly stdout: string | undefined;
  readonly stderr: string | undefined;
}

export interface HookEnding {
  /** Undefined where somebody else has waited for it. */
  readonly ending: Ending | undefined;
  readonly timedOut: boolean;
  /** The end of what it wrote to its output and errors. */
  readonly said: string;
}

/** Runs it to its end; throws where it cannot be started. */
export function runHookProcess(command: HookCommand): HookEnding {
  const { path, argv, env, cwd, input, timeout } = command;
  const [argv0 = path, ...args] = argv;
  hearOfChildren();
  const pair = new Uint8Array(8);
  check(sys("pipe2", pair, O_CLOEXEC), { syscall: "pipe2" });
  const writing = viewOf(pair).getInt32(4, true);
  const said = listenTo(viewOf(pair).getInt32(0, true));
  try {
    const ours = [writing];
    const keep = (fd: number) => {
      ours.push(fd);
      return fd;
    };
    let child: Bun.Subprocess;
    try {
      const stdin = keep(documentMemfd("state", input));
      const stdout = command.stdout === undefined ? writing : keep(openOutput(command.stdout));
      const stderr = command.stderr === undefined ? writing : keep(openOutput(command.stderr));
      child = Bun.spawn([path, ...args], { argv0, env, cwd, stdio: [stdin, stdout, stderr] });
    } finally {
      for (const fd of ours) close(fd);
    }
    // It is waited for here: the event loop, should it turn again, finds it gone, and has nothing to stay for.
    child.unref();
    child.exited.catch(() => undefined);
    return attendHook(child.pid, said, timeout);
  } finally {
    said.end();
  }
}

function openOutput(path: string): number {
  return open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644);
}

function attendHook(pid: number, said: Said, timeout: number | undefined): HookEnding {
  const pidfd = check(tryPidfd(pid), { syscall: "pidfd_open" });
  const end = timeout === undefined ? undefined : performance.now() + timeout * 1000;
  let timedOut = false;
  try {
    for (;;) {
      const left = end === undefined || timedOut ? undefined : Math.max(0, end - performance.now());
      const [ended = 0, heard = 0] = poll(
        [
          { fd: pidfd, events: POLLIN },
          { fd: said.fd(), events: POLLIN },
        ],
        left,
      );
      if (heard !== 0) said.read();
      if (ended !== 0) break;
      if (end === undefined || timedOut || performance.now() < end) continue;
      timedOut = true;
      trySignal(pidfd, SIGKILL);
    }
  } finally {
    close(pidfd);
  }
  return { ending: waitPid(pid), timedOut, said: said.end() };
}
