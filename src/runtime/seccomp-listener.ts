/**
 * Gives the listener of a seccomp filter to its agent: the container process state (config-linux.md, "The Container
 * Process State") with the descriptor beside it, on a connection of its own. Loaded only where a filter notifies.
 */
import { type CtrError, fail } from "../error.ts";
import { O_DIRECTORY, O_PATH, POLLOUT } from "../kernel/constants.ts";
import { ERRNO, errnoName, errnoText } from "../kernel/errno.ts";
import { close, tryOpen } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { sys } from "../kernel/raw.ts";
import { tryConnectStream, trySendDescriptor, UNIX_PATH_MAX } from "../kernel/socket.ts";
import type { SeccompAgent } from "../plan/step.ts";
import { OCI_VERSION } from "../spec/oci-version.ts";
import type { ContainerProcessState, State } from "../spec/runtime/state.ts";

/** How long an agent may take to let itself be connected to, and to read, in milliseconds. */
const PATIENCE = 10_000;
const LOOK_AGAIN = 10;

/** An agent that is not ctr-bun itself. */
export type OtherAgent = Exclude<SeccompAgent, "own">;

/**
 * Sends the listener of the process `pid`; it stays open here.
 * @throws CtrError INVALID_CONFIG where nobody takes it
 */
export function sendListener(
  agent: OtherAgent,
  pid: number,
  state: Omit<State, "ociVersion">,
  listener: number,
): void {
  const { metadata } = agent;
  const message: ContainerProcessState = {
    ociVersion: OCI_VERSION,
    fds: ["seccompFd"],
    pid,
    ...(metadata === undefined ? {} : { metadata }),
    state: { ociVersion: OCI_VERSION, ...state },
  };
  const bytes = new TextEncoder().encode(JSON.stringify(message));
  const end = performance.now() + PATIENCE;
  const socket = connect(agent, end);
  try {
    let sent = again(() => trySendDescriptor(socket, bytes, listener), socket, end);
    // What does not fit is sent as it is read: the descriptor has gone with the first part.
    for (let at = sent; sent >= 0 && at < bytes.byteLength; at += sent) {
      const rest = bytes.subarray(at);
      sent = again(() => sys("write", socket, rest, rest.byteLength), socket, end);
    }
    if (sent < 0) throw notGiven(agent, "sendmsg", -sent);
  } finally {
    close(socket);
  }
}

/** Tries until it does not have to wait, or the time is over: EAGAIN then. */
function again(call: () => number, socket: number, end: number): number {
  for (;;) {
    const result = call();
    const left = end - performance.now();
    if (result !== -ERRNO.EAGAIN || left <= 0) return result;
    poll([{ fd: socket, events: POLLOUT }], left);
  }
}

function connect(agent: OtherAgent, end: number): number {
  const { path } = agent;
  // A socket's name is short; its directory may be as deep as it likes.
  const cut = path.lastIndexOf("/");
  const isLong = Buffer.byteLength(path) > UNIX_PATH_MAX && cut > 0;
  const directory = isLong ? tryOpen(path.slice(0, cut), O_PATH | O_DIRECTORY) : undefined;
  if (directory !== undefined && directory < 0) throw notGiven(agent, "open", -directory);
  const name = directory === undefined ? path : `/proc/self/fd/${directory}${path.slice(cut)}`;
  if (Buffer.byteLength(name) > UNIX_PATH_MAX) throw notGiven(agent, "connect", ERRNO.ENAMETOOLONG);
  try {
    for (;;) {
      const socket = tryConnectStream(name);
      if (socket >= 0) return socket;
      // EAGAIN: as many as may wait there are waiting.
      if (socket !== -ERRNO.EAGAIN || performance.now() >= end) throw notGiven(agent, "connect", -socket);
      poll([], LOOK_AGAIN);
    }
  } finally {
    if (directory !== undefined) close(directory);
  }
}

const HINTS: Readonly<Record<string, string>> = {
  EAGAIN: "the agent there takes no connections",
  EPROTOTYPE: "the agent there must listen on a socket of type SOCK_STREAM",
  ENAMETOOLONG: "the name of a socket may have 80 bytes or so, in a directory of any depth",
};

function notGiven({ path, field }: OtherAgent, syscall: string, errno: number): CtrError {
  const name = errnoName(errno);
  return fail({
    code: "INVALID_CONFIG",
    field,
    message: `cannot give the seccomp listener to its agent: ${errno === ERRNO.EAGAIN ? "timed out" : errnoText(errno)}`,
    syscall,
    path,
    errno: name,
    hint: HINTS[name] ?? "a seccomp agent must listen there before the container is made",
  });
}

/** The error where an agent that has the listener leaves the init waiting. */
export function agentSilent({ path, field }: OtherAgent): CtrError {
  return fail({
    code: "INVALID_CONFIG",
    field,
    message: "the seccomp agent does not answer the calls of the container's init",
    path,
    hint: "it must answer while the container is being made, or these calls must not be SCMP_ACT_NOTIFY",
  });
}
