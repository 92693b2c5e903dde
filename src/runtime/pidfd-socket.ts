/**
 * Gives a process to somebody who listens: its pidfd over a unix socket (runc's --pidfd-socket, crun's annotation
 * run.oci.pidfd_receiver). Not here: the terminal's socket (console.ts).
 */
import { callError, check } from "../kernel/check.ts";
import { close } from "../kernel/file.ts";
import { tryPidfd } from "../kernel/process.ts";
import { sendDescriptor, tryConnectUnix } from "../kernel/socket.ts";

/** Where a pidfd is wanted, and the flag or annotation that says so. */
export interface PidfdReceiver {
  readonly path: string;
  readonly field: string;
}

/** Connects, before anything is made: a socket that nobody listens on is an error at once. */
export function connectReceiver({ path, field }: PidfdReceiver): number {
  const fd = tryConnectUnix(path, true);
  if (fd >= 0) return fd;
  const message = "cannot connect to the socket for the pidfd";
  throw callError(-fd, { syscall: "connect", path, field, message, hint: "somebody must listen there" });
}

/** Sends the pidfd of a process that is ours to wait for, so that its number is not another one's. */
export function sendPidfd(socket: number, pid: number, kind: "standard" | "setns"): void {
  const pidfd = check(tryPidfd(pid), { syscall: "pidfd_open" });
  try {
    // runc's message says whose it is: a container's init, or a further process.
    sendDescriptor(socket, new TextEncoder().encode(kind), pidfd);
  } finally {
    close(pidfd);
  }
}
