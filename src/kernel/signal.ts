/**
 * Signals to ctr-bun itself, as numbers read from a pipe: for a process that waits in ppoll(2), where JavaScript's own
 * handlers would never run. Threads of the JavaScript engine exist before any of our code, so a signalfd, which needs a
 * signal blocked in every thread, would miss some. Names of signals stand here too.
 */
import { check } from "./check.ts";
import { O_CLOEXEC, O_NONBLOCK, SIGCHLD, SIGKILL } from "./constants.ts";
import { viewOf } from "./memory.ts";
import { signalHandler, sys } from "./raw.ts";

const SA_RESTART = 0x10000000;
const SA_RESTORER = 0x04000000;
const SIG_IGN = 1n;

/** Signal names without SIG, by number (signal(7)); the same on x86-64 and aarch64. */
export const SIGNALS: readonly string[] =
  " HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  );

export { SIGCHLD, SIGKILL };
export const SIGTERM = 15;
export const SIGWINCH = 28;
export const SIGSYS = 31;

/** `TERM`, `SIGTERM`, `15`, `RTMIN+3` -> its number; undefined for what is none. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= 64 ? number : undefined;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const real = /^RT(MIN|MAX)([+-]\d+)?$/.exec(name);
  if (real !== null) {
    const number = (real[1] === "MIN" ? 34 : 64) + Number(real[2] ?? 0);
    return number >= 34 && number <= 64 ? number : undefined;
  }
  const index = SIGNALS.indexOf(name);
  if (name === "POLL") return SIGNALS.indexOf("IO");
  if (name === "IOT") return SIGNALS.indexOf("ABRT");
  if (name === "CLD") return SIGCHLD;
  return index > 0 ? index : undefined;
}

/** Signals that a foreground `run` passes on: all but those of faults, job control by the kernel, and the engine's own. */
const PASSED_ON = [
  1,
  2,
  3,
  10,
  12,
  14,
  15,
  16,
  18,
  20,
  24,
  26,
  27,
  28,
  29,
  ...Array.from({ length: 31 }, (_, i) => 34 + i),
];

/** The pipe's end to read from, and the action that writes into the other one. */
interface Caught {
  readonly numbers: number;
  readonly action: Uint8Array;
}

let caught: Caught | undefined;

/**
 * From now on the numbers of these signals come out of the returned descriptor, 4 bytes each. What was ignored stays
 * ignored. A second call gives the same descriptor: in another, signals that came in between would be missing.
 */
export function catchSignals(): number {
  if (caught !== undefined) return caught.numbers;
  caught = installHandlers();
  const previous = new Uint8Array(32);
  for (const signal of PASSED_ON) {
    sys("rt_sigaction", signal, null, previous, 8);
    if (viewOf(previous).getBigUint64(0, true) !== SIG_IGN)
      sys("rt_sigaction", signal, caught.action, null, 8);
  }
  return caught.numbers;
}

/** As {@link catchSignals}; from now on SIGCHLD comes too, so that children who were adopted can be waited for. */
export function catchChildSignals(): number {
  const numbers = catchSignals();
  if (caught !== undefined) sys("rt_sigaction", SIGCHLD, caught.action, null, 8);
  return numbers;
}

function installHandlers(): Caught {
  const pair = new Uint8Array(8);
  check(sys("pipe2", pair, O_CLOEXEC | O_NONBLOCK), { syscall: "pipe2" });
  const view = viewOf(pair);
  const { handler, restorer } = signalHandler(view.getInt32(4, true));
  const action = new Uint8Array(32);
  const words = viewOf(action);
  words.setBigUint64(0, BigInt(handler), true);
  words.setBigUint64(8, BigInt(SA_RESTART | (restorer === undefined ? 0 : SA_RESTORER)), true);
  if (restorer !== undefined) words.setBigUint64(16, BigInt(restorer), true);
  return { numbers: view.getInt32(0, true), action };
}
