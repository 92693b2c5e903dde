/**
 * From the row that failed to the error that a person reads: field, step, call, path, errno and hint. Errors of looking
 * up and executing the program have runc's words, since engines derive exit codes from them.
 */
import { type CtrError, fail } from "../error.ts";
import { errnoName, errnoText } from "../kernel/errno.ts";
import type { MachineProgram } from "../machine/program.ts";
import type { HostStep, InitStep, Row } from "../plan/step.ts";

/** Exit codes that shells and Docker use for a program that cannot be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** The error of a failure report. `row` is the index that the stub sent. */
export function initFailure(
  program: MachineProgram,
  steps: readonly InitStep[],
  errno: number,
  row: number,
): CtrError {
  const step = steps[program.stepOfRow[row] ?? -1];
  const failed = program.rows[row];
  const name = errnoName(errno);
  if (step === undefined || failed === undefined) {
    return fail({
      code: "INTERNAL",
      message: `the init failed in row ${row}, which it does not have`,
      errno: name,
    });
  }
  if (step.field === "process.args[0]" && PROGRAM_CALLS.has(failed.call))
    return programFailure(step, failed, errno);
  return fail({
    code: step.field.startsWith("hooks.") ? "HOOK" : "INIT",
    message: `cannot ${step.about}: ${errnoText(errno)}`,
    field: step.field,
    step: step.about,
    syscall: failed.call,
    path: step.path,
    errno: name,
    hint: step.hints?.[name],
  });
}

const PROGRAM_CALLS = new Set(["execve", "faccessat2"]);

/** As runc words it: Docker makes 127 and 126 of these texts. */
function programFailure(step: InitStep, row: Row, errno: number): CtrError {
  const program = step.path ?? "";
  const name = errnoName(errno);
  const details = { field: step.field, step: step.about, syscall: row.call, path: program, errno: name };
  if (name === "ENOENT" && !program.includes("/")) {
    return fail({
      ...details,
      code: "PROGRAM_NOT_FOUND",
      message: `exec: ${JSON.stringify(program)}: executable file not found in $PATH`,
      hint: "install it in the image, or give its path",
      exitCode: NOT_FOUND,
    });
  }
  const found = name !== "ENOENT" && name !== "ENOTDIR";
  return fail({
    ...details,
    code: found ? "PROGRAM_NOT_EXECUTABLE" : "PROGRAM_NOT_FOUND",
    message: `exec: ${JSON.stringify(program)}: ${found ? "" : `stat ${program}: `}${errnoText(errno)}`,
    hint:
      step.hints?.[name] ??
      (name === "EACCES"
        ? "it must be a file with the executable bit, and for the user to execute"
        : name === "ENOENT"
          ? "no such file in the root file system; for a script or dynamic program, also its interpreter"
          : undefined),
    exitCode: found ? NOT_EXECUTABLE : NOT_FOUND,
  });
}

/**
 * The error of a failure that `start` hears of: the program's rows are not at hand, and what can fail after the word
 * to start is the execution of the program.
 */
export function startFailure(errno: number, program: string): CtrError {
  return programFailure(
    { on: "init", field: "process.args[0]", about: `execute ${program}`, path: program, rows: [] },
    { call: "execve", args: [] },
    errno,
  );
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

/** The init is gone without a word. */
export function initGone(signal: number | undefined, oomKilled: boolean): CtrError {
  const how = signal === undefined ? "ended" : `was killed by signal ${signal}`;
  return fail({
    code: "INIT",
    message: `the container's init ${how} before the program started`,
    field: oomKilled ? "linux.resources.memory.limit" : undefined,
    hint: oomKilled
      ? "it passed the memory limit: raise linux.resources.memory.limit"
      : "somebody killed it, or the seccomp profile forbids execve",
  });
}
