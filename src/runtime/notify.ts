/**
 * NOTIFY_SOCKET (sd_notify(3)), as runc has it: the container gets a socket of its own at /run/notify, and what it says
 * on it about being ready is passed on to the service manager, and nothing else: the container is not to name processes
 * or descriptors to it. Loaded only where ctr-bun itself was given such a socket.
 */
import { check } from "../kernel/check.ts";
import { AT_FDCWD, POLLIN } from "../kernel/constants.ts";
import { close, openDirectory, statusOf, tryMkdir } from "../kernel/file.ts";
import { cString, viewOf } from "../kernel/memory.ts";
import { poll } from "../kernel/poll.ts";
import { tryPidfd } from "../kernel/process.ts";
import { sys } from "../kernel/raw.ts";
import { bindDatagram, connectDatagram, sendDescriptor } from "../kernel/socket.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";

const INSIDE = "/run/notify";
const NAME = "notify.sock";
/** How long the service manager may take to acknowledge, in milliseconds; one that knows no barrier never does. */
const BARRIER_PATIENCE = 30_000;

const directoryOf = (state: string) => `${state}/notify`;

/** Makes the directory that the container sees, in its state directory. */
export function makeNotifyDirectory(state: string): void {
  const path = directoryOf(state);
  check(tryMkdir(path, 0o755), { syscall: "mkdir", path });
}

/** The config with the directory mounted, and the variable that names the socket in it. */
export function withNotifySocket(config: RuntimeConfig, state: string): RuntimeConfig {
  const { process, mounts = [] } = config;
  const options = ["bind", "nosuid", "noexec", "nodev", "ro"];
  return {
    ...config,
    mounts: [...mounts, { destination: INSIDE, source: directoryOf(state), options }],
    ...(process === undefined
      ? {}
      : { process: { ...process, env: [...(process.env ?? []), `NOTIFY_SOCKET=${INSIDE}/${NAME}`] } }),
  };
}

/** What the container says, on its way to the service manager. */
export interface Notifications {
  readonly fd: number;
  /** Reads one message; true once the container was ready and that was passed on, with the pid of its service. */
  handle(pid: number): boolean;
  close(): void;
}

/** Listens for the container; undefined where it was made without such a socket. `host` as in NOTIFY_SOCKET. */
export function listenForReady(state: string, host: string): Notifications | undefined {
  const path = directoryOf(state);
  if (statusOf(path) === undefined) return undefined;
  const directory = openDirectory(path);
  let fd: number;
  try {
    // The path itself may be too long for a socket's name.
    const name = `/proc/self/fd/${directory}/${NAME}`;
    fd = bindDatagram(name);
    check(sys("fchmodat", AT_FDCWD, cString(name), 0o777), { syscall: "fchmodat", path: `${path}/${NAME}` });
  } finally {
    close(directory);
  }
  const message = new Uint8Array(4096);
  return {
    fd,
    handle(pid) {
      const length = sys("read", fd, message, message.byteLength);
      if (length <= 0) return false;
      const lines = new TextDecoder().decode(message.subarray(0, length)).split("\n");
      const ready = lines.find((line) => line.startsWith("READY="));
      if (ready === undefined) return false;
      passOn(host, ready, pid);
      return true;
    },
    close: () => close(fd),
  };
}

/** Waits until the container is ready, or gone. */
export function waitForReady(notifications: Notifications, pid: number): void {
  const pidfd = tryPidfd(pid);
  try {
    for (;;) {
      const [said = 0, ended = 0] = poll([
        { fd: notifications.fd, events: POLLIN },
        { fd: pidfd, events: POLLIN },
      ]);
      if (said !== 0 && notifications.handle(pid)) return;
      if (said === 0 && (ended !== 0 || pidfd < 0)) return;
    }
  } finally {
    if (pidfd >= 0) close(pidfd);
    notifications.close();
  }
}

/** Tells the service manager, and waits until it has read all of it (sd_notify_barrier(3)). */
function passOn(host: string, ready: string, pid: number): void {
  const socket = connectDatagram(host);
  const pipe = new Uint8Array(8);
  try {
    for (const text of [`${ready}\n`, `MAINPID=${pid}\n`]) {
      const bytes = new TextEncoder().encode(text);
      check(sys("write", socket, bytes, bytes.byteLength), { syscall: "write", path: host });
    }
    check(sys("pipe2", pipe, 0o2000000), { syscall: "pipe2" });
    const view = viewOf(pipe);
    const [reader, writer] = [view.getInt32(0, true), view.getInt32(4, true)];
    sendDescriptor(socket, new TextEncoder().encode("BARRIER=1"), writer);
    close(writer);
    poll([{ fd: reader, events: POLLIN }], BARRIER_PATIENCE);
    close(reader);
  } finally {
    close(socket);
  }
}
