/**
 * From the row that failed to the error that a person reads: field, step, call, path, errno and hint. Errors of looking
 * up and executing the program have runc's words, since engines derive exit codes from them.
 */
import { type CtrError, fail } from "../error.ts";
import { ERRNO, errnoName, errnoText } from "../kernel/errno.ts";
import type { MachineProgram } from "../machine/program.ts";
import { BLIND, PROGRAM_FIELD } from "../plan/execute.ts";
import type { HostStep, InitStep, Row } from "../plan/step.ts";

/** Exit codes that shells and Docker use for a program that cannot be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** A call that failed, and what it was made for. */
export interface FailedCall {
  readonly step: Pick<InitStep, "field" | "about" | "path" | "hints">;
  readonly call: string;
  /** The file that it was about, where the call names one. */
  readonly file: string | undefined;
}

/** Of a row, what an error tells. */
export function callOfRow(step: InitStep, row: Row): FailedCall {
  return { step, call: row.call, file: row.args.find((arg) => typeof arg === "string") };
}

/** The error of a failure report. `row` is the index that the stub sent. */
export function initFailure(
  program: MachineProgram,
  steps: readonly InitStep[],
  errno: number,
  row: number,
): CtrError {
  const step = steps[program.stepOfRow[row] ?? -1];
  const failed = program.rows[row];
  if (step === undefined || failed === undefined) return unknownRow(errno, row);
  return callFailure(callOfRow(step, failed), errno);
}

/** The stub told of a row that is not there. */
export function unknownRow(errno: number, row: number): CtrError {
  const message = `the init failed in row ${row}, which it does not have`;
  return fail({ code: "INTERNAL", message, errno: errnoName(errno) });
}

/** The error of a call that failed. */
export function callFailure(failed: FailedCall, errno: number): CtrError {
  const { step, call, file } = failed;
  const name = errnoName(errno);
  if (step.field === PROGRAM_FIELD && file !== undefined) return programFailure(failed, file, errno);
  return fail({
    code: step.field.startsWith("hooks.") ? "HOOK" : "INIT",
    message: `cannot ${step.about}: ${errnoText(textOf(failed, errno))}`,
    field: step.field,
    step: step.about,
    // The pseudo call that tells of another call's errno says nothing itself.
    syscall: call === "fail" ? undefined : call,
    // The source of a mount is another file than the step's, which is where it goes.
    path: call === "open_tree" && file?.startsWith("/") ? file : step.path,
    errno: name,
    hint: step.hints?.[name],
  });
}

/**
 * The errno whose text says more: a directory onto a file, or a file onto a directory, is EINVAL of move_mount(2), and
 * ENOTDIR of mount(2), by which runc mounts. Docker explains it to people where it finds the latter's text.
 */
function textOf({ step, call }: FailedCall, errno: number): number {
  const isMount = call === "move_mount" && step.field.startsWith("mounts[");
  return isMount && errno === ERRNO.EINVAL ? ERRNO.ENOTDIR : errno;
}

/**
 * As runc words it: Docker and Podman make the exit codes 127 and 126 of these texts. What faccessat2 says is about the
 * file; what only execve says is about what is in it.
 */
function programFailure({ step, call }: FailedCall, file: string, errno: number): CtrError {
  const program = step.path ?? "";
  const name = errnoName(errno);
  const isMissing = name === "ENOENT" || name === "ENOTDIR";
  const isAbsent = name === "ENOENT" && (call !== "execve" || step.about.startsWith(BLIND));
  const isSearched = isAbsent && !program.includes("/");
  const quoted = `exec: ${JSON.stringify(program)}:`;
  const text = errnoText(errno);
  const message = isSearched
    ? `${quoted} executable file not found in $PATH`
    : name === "EACCES"
      ? `${quoted} ${text}`
      : call === "execve" && name !== "ENOTDIR"
        ? `exec ${file}: ${text}`
        : `${quoted} stat ${file}: ${text}`;
  return fail({
    code: isMissing ? "PROGRAM_NOT_FOUND" : "PROGRAM_NOT_EXECUTABLE",
    message,
    field: step.field,
    step: step.about,
    syscall: call,
    path: isSearched ? program : file,
    errno: name,
    hint: isSearched ? "install it in the image, or give its path" : step.hints?.[name],
    exitCode: isMissing ? NOT_FOUND : NOT_EXECUTABLE,
  });
}

/** The error of a host step: what the call said, with the step's field and hint added. */
export function hostFailure(step: HostStep, error: CtrError): CtrError {
  return fail({
    code: error.code,
    message: error.code === "SYSCALL" ? `cannot ${step.about}: ${error.message}` : error.message,
    field: error.field ?? step.field,
    step: step.about,
    syscall: error.syscall,
    path: error.path,
    errno: error.errno,
    hint: error.hint ?? (error.errno === undefined ? undefined : step.hints?.[error.errno]),
    exitCode: error.exitCode,
    cause: error,
  });
}

/** The init is gone without a word. `whySigsys`: why that signal ended it. */
export function initGone(signal: number | undefined, oomKilled: boolean, whySigsys?: string): CtrError {
  const how = signal === undefined ? "ended" : `was killed by signal ${signal}`;
  return fail({
    code: "INIT",
    message: `the container's init ${how} before the program started`,
    field: oomKilled ? "linux.resources.memory.limit" : whySigsys === undefined ? undefined : "linux.seccomp",
    hint: oomKilled
      ? "it passed the memory limit: raise linux.resources.memory.limit"
      : (whySigsys ?? "somebody killed it, or the seccomp profile forbids execve"),
  });
}
