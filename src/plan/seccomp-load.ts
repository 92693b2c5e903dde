/**
 * Loading a filter, and giving its listener away where it notifies. From the load on the kernel may keep any call of the
 * init waiting for an answer, and nobody can answer until the listener is with its agent. So a second thread of the init
 * hands it over, one that the filter does not bind, while the first one makes no call at all. Pure. Not here: who gets
 * the listener (seccomp-listener.ts), sending it there (runtime/seccomp-listener.ts).
 */
import type { SeccompProgram } from "../driver.ts";
import {
  CLONE_FILES,
  CLONE_FS,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VM,
  SECCOMP_SET_MODE_FILTER,
} from "../kernel/constants.ts";
import {
  descriptorBuffers,
  descriptorPlace,
  descriptorSlot,
  jump,
  ORPHANED,
  row,
  sendDescriptor,
  slot,
} from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

const THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
/** The stub puts the report of a failure there, and nothing else. */
const STACK = 128;
const SIGN = 0x80000000;
const WORD = 0xffffffff;
/** Nanoseconds between two looks at whether the filter is loaded. */
const LOOK_AGAIN = 20_000;

/** seccomp(2) with the compiled filter. `listener`: it notifies, and ctr-bun gives its word once somebody can answer. */
export function seccompStep(program: SeccompProgram, listener: boolean): InitStep {
  const count = program.filter.byteLength / 8;
  const filter = { words: [count, { bytes: program.filter }] };
  const args = [SECCOMP_SET_MODE_FILTER, program.flags, filter];
  const hints = {
    EINVAL: "this kernel refuses the filter or one of linux.seccomp.flags",
    EACCES: "loading a filter takes CAP_SYS_ADMIN or process.noNewPrivileges",
  };
  const about = `load the seccomp filter (${count} instructions)`;
  const step = { on: "init", field: "linux.seccomp" } as const;
  if (!listener) return { ...step, about, rows: [row("seccomp", args)], hints };
  return {
    ...step,
    about: `${about} and give its listener away`,
    rows: listeningRows(row("seccomp", args, { store: descriptorPlace("seccomp") })),
    buffers: { ...descriptorBuffers("seccomp"), [SENDER_STACK]: STACK },
    hints: {
      ...hints,
      EBUSY:
        "ctr-bun itself runs under a filter with a listener, and the kernel allows one: give no call SCMP_ACT_NOTIFY",
      EAGAIN:
        "linux.resources.pids.limit, or RLIMIT_NPROC, leaves no room for the thread that hands the listener over",
    },
  };
}

const SENDER_STACK = "listener stack";
const GIVEN = "listener given";

function listeningRows(load: Row): Row[] {
  const listener = descriptorSlot("seccomp");
  return [
    row("clone", [THREAD, { at: SENDER_STACK, offset: STACK }, 0, 0, 0], { onZero: "listener.sender" }),
    load,
    // No call: it might be one that waits for an answer.
    row("test", [slot(GIVEN), 1, 0], { label: "listener.wait", onZero: "listener.wait" }),
    jump("listener.done"),
    row("nanosleep", [{ words: [0, LOOK_AGAIN] }, 0], { label: "listener.sender", allow: "EINTR" }),
    row("test", [listener, WORD, 0], { onZero: "listener.sender" }),
    // Where the filter was not loaded, the first thread reports it and ends both.
    row("test", [listener, SIGN, 0], { onZero: "listener.send" }),
    jump("listener.sender"),
    { ...sendDescriptor("seccomp"), label: "listener.send" },
    // With a copy left here the agent's end would not be noticed, and calls wait for ever.
    row("close", [listener]),
    row("read", [{ fd: "report" }, { at: "word" }, 8], { onZero: ORPHANED }),
    row("test", [1, 1, 0], { store: GIVEN }),
    row("exit", [0]),
    row("test", [0, 0, 1], { label: "listener.done" }),
  ];
}
