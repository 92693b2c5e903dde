/**
 * What a filter answers: SCMP_ACT_* of a profile as SECCOMP_RET_*, and in words.
 * Not here: which call gets which answer (rules.ts).
 */
import { fail } from "../../src/error.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import {
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_DATA,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
} from "../../src/kernel/seccomp.ts";
import type { SeccompAction } from "../../src/spec/runtime/seccomp.ts";

/** Answer to a call of an architecture that the profile does not cover; libseccomp's default, which runc keeps. */
export const BAD_ARCH = SECCOMP_RET_KILL_THREAD;

/** Answer to a call that is newer than the profile. */
export const NO_SUCH_CALL = SECCOMP_RET_ERRNO | ERRNO.ENOSYS;

const answers: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_KILL: SECCOMP_RET_KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: SECCOMP_RET_KILL_PROCESS,
  SCMP_ACT_KILL_THREAD: SECCOMP_RET_KILL_THREAD,
  SCMP_ACT_TRAP: SECCOMP_RET_TRAP,
  SCMP_ACT_ERRNO: SECCOMP_RET_ERRNO,
  SCMP_ACT_TRACE: SECCOMP_RET_TRACE,
  SCMP_ACT_ALLOW: SECCOMP_RET_ALLOW,
  SCMP_ACT_LOG: SECCOMP_RET_LOG,
  SCMP_ACT_NOTIFY: SECCOMP_RET_USER_NOTIF,
};

/** libseccomp takes errnos below the kernel's MAX_ERRNO (include/linux/err.h), of which the kernel makes what is above. */
const LARGEST_ERRNO = 4094;

/**
 * The answer of an action: with the errno for ERRNO and TRACE, EPERM unless given.
 * @param field where in config.json the errno stands
 * @throws CtrError SECCOMP for an errno with any other action (config-linux.md: MUST fail), and, as in runc, for one that no
 * call can end with. What TRACE passes on to a tracer may be any number.
 */
export function answerOf(action: SeccompAction, errnoRet: number | undefined, field: string): number {
  const answer = answers[action];
  if (answer === SECCOMP_RET_ERRNO && errnoRet !== undefined && errnoRet > LARGEST_ERRNO) {
    const message = `${action} takes an errno up to ${LARGEST_ERRNO}, got ${errnoRet}`;
    throw fail({ code: "SECCOMP", field, message });
  }
  if (answer === SECCOMP_RET_ERRNO || answer === SECCOMP_RET_TRACE) return answer | (errnoRet ?? ERRNO.EPERM);
  if (errnoRet === undefined) return answer;
  throw fail({ code: "SECCOMP", field, message: `${action} takes no errno` });
}

/** An answer in words: `ALLOW`, `ERRNO 38 (ENOSYS)`. */
export function answerText(answer: number): string {
  const action = (answer & SECCOMP_RET_ACTION_FULL) >>> 0;
  const data = answer & SECCOMP_RET_DATA;
  const [name] = Object.entries(answers).findLast(([, number]) => number === action) ?? [];
  const word = name?.slice("SCMP_ACT_".length) ?? `0x${action.toString(16)}`;
  if (action !== SECCOMP_RET_ERRNO && action !== SECCOMP_RET_TRACE) return word;
  const errno = Object.entries(ERRNO).find(([, number]) => number === data)?.[0];
  return errno === undefined ? `${word} ${data}` : `${word} ${data} (${errno})`;
}
