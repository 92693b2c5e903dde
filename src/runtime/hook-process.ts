/**
 * A hook's process, waited for without the event loop. Of what it writes to stderr only the end is kept: a hook may
 * write without limit, and what it leaves running may hold stderr open. Not here: which hooks, and errors (hooks.ts).
 */
import { check } from "../kernel/check.ts";
import { O_CLOEXEC, POLLIN } from "../kernel/constants.ts";
import { close, tryRead } from "../kernel/file.ts";
import { documentMemfd } from "../kernel/memfd.ts";
import { viewOf } from "../kernel/memory.ts";
import { poll } from "../kernel/poll.ts";
import { type Ending, hearOfChildren, tryPidfd, trySignal, waitPid } from "../kernel/process.ts";
import { sys } from "../kernel/raw.ts";
import { SIGKILL } from "../kernel/signal.ts";

export interface HookCommand {
  readonly path: string;
  /** With the name first. */
  readonly argv: readonly string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly input: Uint8Array;
  /** Seconds. */
  readonly timeout: number | undefined;
}

export interface HookEnding {
  /** Undefined where somebody else has waited for it. */
  readonly ending: Ending | undefined;
  readonly timedOut: boolean;
  /** The end of what it wrote to stderr. */
  readonly said: string;
}

/** How much of stderr is kept, in bytes. */
const KEPT = 4096;
/** What a pipe holds: read once more after the end, that is all that the hook can have left in it. */
const PIPE = 65536;

/** Runs it to its end; throws where it cannot be started. */
export function runHookProcess(command: HookCommand): HookEnding {
  const { path, argv, env, cwd, input, timeout } = command;
  const [argv0 = path, ...args] = argv;
  hearOfChildren();
  const pair = new Uint8Array(8);
  check(sys("pipe2", pair, O_CLOEXEC), { syscall: "pipe2" });
  const [reading, writing] = [viewOf(pair).getInt32(0, true), viewOf(pair).getInt32(4, true)];
  try {
    const stdin = documentMemfd("state", input);
    let child: Bun.Subprocess;
    try {
      child = Bun.spawn([path, ...args], { argv0, env, cwd, stdio: [stdin, "ignore", writing] });
    } finally {
      close(stdin);
      close(writing);
    }
    // It is waited for here: the event loop, should it turn again, finds it gone, and has nothing to stay for.
    child.unref();
    child.exited.catch(() => undefined);
    return attendHook(child.pid, reading, timeout);
  } finally {
    close(reading);
  }
}

function attendHook(pid: number, stderr: number, timeout: number | undefined): HookEnding {
  const pidfd = check(tryPidfd(pid), { syscall: "pidfd_open" });
  const buffer = new Uint8Array(PIPE);
  let kept = new Uint8Array(0);
  /** False at the end of the pipe. */
  const keep = (): boolean => {
    const n = tryRead(stderr, buffer);
    if (n > 0) kept = Buffer.concat([kept, buffer.subarray(0, n)]).slice(-KEPT);
    return n > 0;
  };
  const end = timeout === undefined ? undefined : performance.now() + timeout * 1000;
  let timedOut = false;
  let open = true;
  try {
    for (;;) {
      const left = end === undefined || timedOut ? undefined : Math.max(0, end - performance.now());
      const [ended = 0, said = 0] = poll(
        [
          { fd: pidfd, events: POLLIN },
          { fd: open ? stderr : -1, events: POLLIN },
        ],
        left,
      );
      if (said !== 0) open = keep();
      if (ended !== 0) break;
      if (end === undefined || timedOut || performance.now() < end) continue;
      timedOut = true;
      trySignal(pidfd, SIGKILL);
    }
    if (open && poll([{ fd: stderr, events: POLLIN }], 0)[0] !== 0) keep();
  } finally {
    close(pidfd);
  }
  return { ending: waitPid(pid), timedOut, said: new TextDecoder().decode(kept) };
}
