/**
 * Hooks in the container's namespaces (config.md, "createContainer Hooks", "startContainer Hooks"): the init runs them
 * itself, one after another, and each is a process of its own with nothing but its three streams. What it says goes into
 * a pipe whose other end ctr-bun gets, its state is a file in memory. Not here: when they are due (hooks.ts).
 */
import {
  CLD_EXITED,
  CLONE_PIDFD,
  MFD_CLOEXEC,
  O_CLOEXEC,
  P_PIDFD,
  POLLIN,
  SIGCHLD,
  SIGKILL,
  WEXITED,
} from "../kernel/constants.ts";
import { DESCRIPTOR, REPORT, REPORT_SIZE, reportBytes } from "../machine/report.ts";
import { OCI_VERSION } from "../spec/oci-version.ts";
import type { Hook } from "../spec/runtime/hooks.ts";
import { nofileRow } from "./identity.ts";
import type { PlanInput } from "./input.ts";
import { ROOT } from "./paths.ts";
import { descriptorBuffers, jump, ORPHANED, row, slot } from "./rows.ts";
import type { Arg, InitStep, Row } from "./step.ts";

/** Slot and buffer for the pid in decimal, where only ctr-bun can tell it (hooks.ts). */
export const HOOK_PID = "hook pid";

/** Hooks of one kind, and what they find. */
export interface ContainerHooks {
  readonly kind: "createContainer" | "startContainer";
  /** Their umask, or the slot that it is kept in. */
  readonly umask: number | string;
  /** The container's process is the first one of its pid namespace. */
  readonly first: boolean;
  /** Rows of a hook's own process that set limits which the init has not got. */
  readonly limits: readonly Row[];
}

const WORD = 0xffffffff;
/** Where pipe2(2) stores its two descriptors: the one to read from is then the one that a cmsghdr sends. */
const [READING, WRITING] = [16, 20];
/** Fields of siginfo_t for a child (sigaction(2)). */
const [SI_CODE, SI_STATUS] = [8, 24];
/** A struct pollfd is 8 bytes long; `revents` of the second one, as bits of its word. */
const SECOND = 8;
const SECOND_REVENTS = 0xffff000000000000n;

/** All of one kind, in order: the first that fails ends the init. */
export function containerHookSteps(input: PlanInput, what: ContainerHooks): InitStep[] {
  const hooks = input.config.hooks?.[what.kind] ?? [];
  return hooks.flatMap((hook, index) =>
    hookSteps(input, what, { hook, index, last: index + 1 === hooks.length }),
  );
}

/** The state that a hook gets, in the pieces before and behind the pid; in one where the pid is known. */
function stateParts({ options, facts, config }: PlanInput, { kind, first }: ContainerHooks): Uint8Array[] {
  const status = kind === "createContainer" ? "creating" : "created";
  const head = JSON.stringify({ ociVersion: OCI_VERSION, id: options.id, status });
  const tail = JSON.stringify({ bundle: facts.bundle, annotations: config.annotations });
  const parts = [`${head.slice(0, -1)},"pid":`, `,${tail.slice(1)}`];
  return (first ? [parts.join("1")] : parts).map((text) => new TextEncoder().encode(text));
}

/** A message to ctr-bun of several pieces, with the descriptor in `control` where one is given. */
function send(pieces: readonly (readonly [Arg, number])[], control?: string): Row {
  const header = [0, 0, { words: pieces.flat() }, pieces.length];
  const rights = control === undefined ? [0, 0, 0] : [{ at: control }, WRITING, 0];
  return row("sendmsg", [{ fd: "report" }, { words: [...header, ...rights] }, 0]);
}

interface One {
  readonly hook: Hook;
  readonly index: number;
  readonly last: boolean;
}

function hookSteps(input: PlanInput, what: ContainerHooks, one: One): InitStep[] {
  const { kind } = what;
  const { hook, index, last } = one;
  const name = (word: string, of = index) => `${kind} ${of} ${word}`;
  const [pipe, watched, ended, state] = [`${kind} pipe`, `${kind} watched`, `${kind} ended`, `${kind} state`];
  const parts = stateParts(input, what);
  const [writing, pidfd] = [{ slot: pipe, offset: WRITING }, slot(watched)];
  const buffers = {
    [pipe]: Buffer.concat([...Object.values(descriptorBuffers("console")), new Uint8Array(8)]),
    // Two struct pollfd: the hook's pidfd, which clone(2) stores here, and the report channel, of which the end counts.
    [watched]: new Uint8Array(Uint32Array.of(0, POLLIN, 0, 0).buffer),
    [ended]: 128,
    ...Object.fromEntries(parts.map((part, at) => [`${state} ${at}`, part])),
  };
  const writePart = (at: number) =>
    row("write", [slot(state), { at: `${state} ${at}` }, parts[at]?.byteLength ?? 0]);
  const writePid = row("write", [slot(state), { at: HOOK_PID }, slot(`${HOOK_PID} length`)]);
  const timeout = name("timeout");
  const kill = row("pidfd_send_signal", [pidfd, SIGKILL, 0, 0]);
  const wait = row("waitid", [P_PIDFD, pidfd, { at: ended }, WEXITED, 0], {});
  const failure = { bytes: reportBytes(REPORT.hook) };
  const run: InitStep = {
    on: "init",
    field: `hooks.${kind}[${index}]`,
    about: `run the hook ${hook.path}`,
    path: hook.path,
    hints: { EAGAIN: "linux.resources.pids.limit, or RLIMIT_NPROC, leaves no room for a hook's process" },
    buffers: {
      ...(index === 0 ? buffers : {}),
      ...(hook.timeout === undefined
        ? {}
        : { [timeout]: new Uint8Array(BigUint64Array.of(BigInt(hook.timeout), 0n).buffer) }),
    },
    rows: [
      row(
        "pipe2",
        [{ at: pipe, offset: READING }, O_CLOEXEC],
        index === 0 ? {} : { label: name("done", index - 1) },
      ),
      send([[{ bytes: reportBytes(REPORT.descriptor, DESCRIPTOR[kind], index) }, REPORT_SIZE]], pipe),
      row("close", [{ slot: pipe, offset: READING }]),
      row("memfd_create", ["state", MFD_CLOEXEC], { store: state }),
      ...(what.first ? [writePart(0)] : [writePart(0), writePid, writePart(1)]),
      // An offset is what it is set to: so the channel's number gets into the struct.
      row("lseek", [slot(state), { fd: "report" }, 0], { store: { at: watched, offset: SECOND } }),
      row("lseek", [slot(state), 0, 0]),
      // clone, not clone3: seccomp profiles forbid that, as they cannot look into its struct.
      row("clone", [CLONE_PIDFD + SIGCHLD, 0, { at: watched }, 0, 0], { onZero: name("child") }),
      row("close", [slot(state)]),
      row("close", [writing]),
      // What is left of the time is written back: a signal does not make it longer.
      row("ppoll", [{ at: watched }, 2, hook.timeout === undefined ? 0 : { at: timeout }, 0, 8], {
        label: name("wait"),
        allow: "EINTR",
        onError: name("wait"),
        onZero: name("late"),
      }),
      row("test", [{ slot: watched, offset: SECOND }, SECOND_REVENTS, 0], { onZero: name("ended") }),
      // Nobody is there any more who would let the container go on.
      kill,
      jump(ORPHANED),
      { ...wait, label: name("ended") },
      row("close", [pidfd]),
      row("test", [{ slot: ended, offset: SI_CODE }, WORD, CLD_EXITED], { onZero: name("exited") }),
      {
        ...send([
          [failure, 4],
          [{ at: ended, offset: SI_CODE }, 4],
          [{ at: ended, offset: SI_STATUS }, 4],
        ]),
        label: name("failed"),
      },
      jump(ORPHANED),
      { ...kill, label: name("late") },
      wait,
      send([[failure, REPORT_SIZE]]),
      jump(ORPHANED),
      row("test", [{ slot: ended, offset: SI_STATUS }, WORD, 0], {
        label: name("exited"),
        onZero: name("done"),
      }),
      jump(name("failed")),
    ],
  };
  // Where the last one is done, rows go on behind its child.
  const done = last ? [row("test", [0, 0, 1], { label: name("done") })] : [];
  return [run, childStep(input, what, one, { label: name("child"), state, writing, done })];
}

/** The hook's own process: its streams, its umask and directory, its program. */
function childStep(
  { facts: { nofile } }: PlanInput,
  { kind, umask, limits }: ContainerHooks,
  { hook, index }: One,
  place: { label: string; state: string; writing: Arg; done: Row[] },
): InitStep {
  const args = hook.args === undefined || hook.args.length === 0 ? [hook.path] : hook.args;
  // As in runc: in the root before it is entered, then where the program begins.
  const stand = kind === "createContainer" ? [row("fchdir", [slot(ROOT)])] : [];
  const limit = kind === "createContainer" && nofile !== undefined ? [nofileRow(nofile)] : [];
  return {
    on: "init",
    field: `hooks.${kind}[${index}].path`,
    about: "run the hook",
    path: hook.path,
    rows: [
      row("dup3", [slot(place.state), 0, 0], { label: place.label }),
      row("dup3", [place.writing, 1, 0]),
      row("dup3", [place.writing, 2, 0]),
      row("umask", [typeof umask === "string" ? slot(umask) : umask]),
      ...stand,
      ...limit,
      ...limits,
      row("execve", [hook.path, { words: [...args, 0] }, { words: [...(hook.env ?? []), 0] }]),
      ...place.done,
    ],
    hints: {
      ENOENT:
        kind === "createContainer"
          ? "no such file on the host; for a script or dynamic program, also its interpreter"
          : "no such file in the root file system; for a script or dynamic program, also its interpreter",
      EACCES: "it must be a file with the executable bit",
      ENOEXEC: "the file is neither an executable of this architecture nor a script with a #! line",
      E2BIG: "its args and env together are too long",
    },
  };
}
