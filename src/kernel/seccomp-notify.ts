/**
 * The listener of a filter that notifies (seccomp_unotify(2)): the system calls that wait there, and their answers.
 * Not here: how a listener comes about (plan/seccomp-load.ts), or who answers.
 */
import { check } from "./check.ts";
import { ERRNO } from "./errno.ts";
import { viewOf } from "./memory.ts";
import { sys } from "./raw.ts";
import {
  SECCOMP_GET_NOTIF_SIZES,
  SECCOMP_IOCTL_NOTIF_RECV,
  SECCOMP_IOCTL_NOTIF_SEND,
  SECCOMP_USER_NOTIF_FLAG_CONTINUE,
} from "./seccomp.ts";

/** A system call that waits for an answer (struct seccomp_notif). */
export interface WaitingCall {
  /** What an answer is addressed to; another one for every call. */
  readonly id: bigint;
  /** The thread that makes it, in the pid namespace of whoever reads this; 0: it is not seen from there. */
  readonly pid: number;
  /** SECCOMP_USER_NOTIF_FLAG_*, none so far. */
  readonly flags: number;
  /** Its number in the architecture `audit` (AUDIT_ARCH_*). */
  readonly number: number;
  readonly audit: number;
  /** Where in the program it is made. */
  readonly instruction: bigint;
  /** All six registers, whatever the call takes. */
  readonly args: readonly bigint[];
}

/** What a call comes to: it returns a value or an errno without being made, or is made after all. */
export type CallAnswer = { readonly value: bigint } | { readonly errno: number } | "continue";

// struct seccomp_notif and seccomp_notif_resp, as of Linux 5.0; a later kernel's may be longer (seccomp(2)).
const NOTIF_SIZE = 80;
const RESPONSE_SIZE = 24;

let sizes: readonly [notif: number, response: number] | undefined;

/** What the running kernel writes and reads. */
function structSizes(): readonly [number, number] {
  if (sizes === undefined) {
    const bytes = new Uint8Array(6);
    check(sys("seccomp", SECCOMP_GET_NOTIF_SIZES, 0, bytes), { syscall: "seccomp" });
    const view = viewOf(bytes);
    sizes = [Math.max(NOTIF_SIZE, view.getUint16(0, true)), Math.max(RESPONSE_SIZE, view.getUint16(2, true))];
  }
  return sizes;
}

/**
 * The next call that waits. Blocks while there is none: poll(2) says when there is one (POLLIN), and when no process is
 * left under the filter (POLLHUP). Undefined: the call has ended meanwhile, with its process or by a signal.
 * @throws CtrError SYSCALL for what is no listener
 */
export function receiveCall(listener: number): WaitingCall | undefined {
  const bytes = new Uint8Array(structSizes()[0]);
  const result = sys("ioctl", listener, SECCOMP_IOCTL_NOTIF_RECV, bytes);
  if (result === -ERRNO.ENOENT || result === -ERRNO.EINTR) return undefined;
  check(result, { syscall: "ioctl SECCOMP_IOCTL_NOTIF_RECV" });
  const view = viewOf(bytes);
  return {
    id: view.getBigUint64(0, true),
    pid: view.getUint32(8, true),
    flags: view.getUint32(12, true),
    number: view.getInt32(16, true),
    audit: view.getUint32(20, true),
    instruction: view.getBigUint64(24, true),
    args: [32, 40, 48, 56, 64, 72].map((at) => view.getBigUint64(at, true)),
  };
}

/**
 * Answers the call; false where it has ended meanwhile.
 * @throws CtrError SYSCALL for what is no listener, or a call that is answered already
 */
export function answerCall(listener: number, id: bigint, answer: CallAnswer): boolean {
  const bytes = new Uint8Array(structSizes()[1]);
  const view = viewOf(bytes);
  view.setBigUint64(0, id, true);
  if (answer === "continue") view.setUint32(20, SECCOMP_USER_NOTIF_FLAG_CONTINUE, true);
  else if ("errno" in answer) view.setInt32(16, -answer.errno, true);
  else view.setBigInt64(8, answer.value, true);
  let result: number;
  do result = sys("ioctl", listener, SECCOMP_IOCTL_NOTIF_SEND, bytes);
  while (result === -ERRNO.EINTR);
  if (result === -ERRNO.ENOENT) return false;
  check(result, { syscall: "ioctl SECCOMP_IOCTL_NOTIF_SEND" });
  return true;
}
