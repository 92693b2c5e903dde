/**
 * From the kernel's -errno to an error that says what failed. Not here: hints for particular steps (plan/, cli/).
 */
import { type CtrError, fail } from "../error.ts";
import { errnoName, errnoText } from "./errno.ts";
import type { Syscall } from "./syscalls.ts";

/** What was being done, for the message. */
export interface CallContext {
  readonly syscall: Syscall | string;
  readonly path?: string | undefined;
  /** `cannot open the bundle`: replaces the plain message. */
  readonly message?: string | undefined;
  readonly field?: string | undefined;
  readonly hint?: string | undefined;
}

/** Returns `result` when it is no error; else throws with the call, the path and the errno's name and text. */
export function check(result: number, context: CallContext): number {
  if (result >= 0 || result < -4095) return result;
  throw callError(-result, context);
}

/** The error of a failed call. `errno` is positive. */
export function callError(errno: number, context: CallContext): CtrError {
  const text = errnoText(errno);
  return fail({
    code: "SYSCALL",
    message: context.message === undefined ? text : `${context.message}: ${text}`,
    syscall: context.syscall,
    path: context.path,
    errno: errnoName(errno),
    field: context.field,
    hint: context.hint,
  });
}
