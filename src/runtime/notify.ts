/**
 * NOTIFY_SOCKET (sd_notify(3)), as runc has it: the container gets a socket of its own at /run/notify, and what it says
 * on it about being ready is passed on to the service manager, and nothing else: the container is not to name processes
 * or descriptors to it. Loaded only where ctr-bun itself was given such a socket.
 */
import { asCtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import {
  AT_FDCWD,
  F_SETFL,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_RDONLY,
  POLLIN,
  POLLOUT,
} from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close, open, statusOf, tryMkdir, tryUnlink } from "../kernel/file.ts";
import { cString, viewOf } from "../kernel/memory.ts";
import { printError } from "../kernel/output.ts";
import { poll, type Watch } from "../kernel/poll.ts";
import { tryPidfd } from "../kernel/process.ts";
import { sys } from "../kernel/raw.ts";
import { bindDatagram, connectDatagram, sendDescriptor } from "../kernel/socket.ts";
import { hasMountNamespace, joinsMountNamespace } from "../plan/root.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";

const INSIDE = "/run/notify";
const NAME = "notify.sock";
/** How long the service manager may take to read and acknowledge, in milliseconds; one that knows no barrier never does. */
const PATIENCE = 30_000;
/** More than a queue holds (net.unix.max_dgram_qlen, 512 where systemd has set it). */
const MOST_AT_ONCE = 1024;

/** Whether the socket can be mounted: nobody else is to see it, nor are mounts made for it where the config has none. */
export function canHaveNotifySocket(config: RuntimeConfig): boolean {
  return hasMountNamespace({ config }) && !joinsMountNamespace({ config });
}

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

/**
 * What the container says, on its way to the service manager. Nothing of it waits but poll(2). What fails on the way is a
 * warning: the program runs, and is not to suffer.
 */
export interface Notifications {
  /** What to poll for now; nothing once the service manager has been told, and has read it. */
  watches(): Watch[];
  /** Takes the events of these. `pid`: of the service, once it is ready. */
  handle(events: readonly number[], pid: number): void;
  /** The container has said that it is ready. */
  isReady(): boolean;
  close(): void;
}

/** Listens for the container; undefined where it was made without such a socket. `host` as in NOTIFY_SOCKET. */
export function listenForReady(state: string, host: string): Notifications | undefined {
  const path = directoryOf(state);
  if (statusOf(path) === undefined) return undefined;
  const lock = open(path, O_RDONLY | O_DIRECTORY);
  let fd: number;
  try {
    fd = bindAlone(lock, path);
  } catch (error) {
    close(lock);
    throw error;
  }
  let listens = true;
  let telling: Telling | undefined;
  const message = new Uint8Array(4096);
  const read = (): number => sys("read", fd, message, message.byteLength);
  // Nobody hears more of it: to leave the socket open would block the program once its queue is full.
  const stopListening = (): void => {
    if (!listens) return;
    listens = false;
    close(fd);
    close(lock);
  };
  return {
    watches: () => (listens ? [{ fd, events: POLLIN }] : (telling?.watches() ?? [])),
    handle([event = 0], pid) {
      if (event === 0) return;
      if (!listens) {
        telling?.handle();
        return;
      }
      // All that is there, as the program may have ended since; but one that never stops talking is left for a while.
      for (let count = 0; count < MOST_AT_ONCE; count++) {
        const length = read();
        if (length <= 0) return;
        const lines = new TextDecoder().decode(message.subarray(0, length)).split("\n");
        const ready = lines.find((line) => line.startsWith("READY="));
        if (ready === undefined) continue;
        stopListening();
        telling = tell(host, [`${ready}\n`, `MAINPID=${pid}\n`]);
        return;
      }
    },
    isReady: () => !listens,
    close() {
      stopListening();
      telling?.close();
    },
  };
}

/**
 * Binds the socket, for as long as the lock is held by this process alone: what a start that was killed has left is taken
 * away, and not what belongs to one that is at it.
 */
function bindAlone(directory: number, path: string): number {
  const locked = sys("flock", directory, LOCK_EX | LOCK_NB);
  if (locked === -ERRNO.EAGAIN) {
    throw fail({ code: "WRONG_STATE", message: "somebody else is starting the container", path });
  }
  check(locked, { syscall: "flock", path });
  // The path itself may be too long for a socket's name.
  const name = `/proc/self/fd/${directory}/${NAME}`;
  tryUnlink(name);
  const fd = bindDatagram(name);
  try {
    check(sys("fchmodat", AT_FDCWD, cString(name), 0o777), { syscall: "fchmodat", path: `${path}/${NAME}` });
    check(sys("fcntl", fd, F_SETFL, O_NONBLOCK), { syscall: "fcntl" });
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Waits until the container is ready and the service manager knows, or the container is gone. */
export function waitForReady(notifications: Notifications, pid: number): void {
  const pidfd = tryPidfd(pid);
  try {
    while (!notifications.isReady()) {
      const [ended = 0, ...said] = poll([{ fd: pidfd, events: POLLIN }, ...notifications.watches()]);
      notifications.handle(said, pid);
      if (said.every((event) => event === 0) && (ended !== 0 || pidfd < 0)) return;
    }
    const end = performance.now() + PATIENCE;
    for (;;) {
      const [watches, left] = [notifications.watches(), end - performance.now()];
      if (watches.length === 0 || left <= 0) return;
      notifications.handle(poll(watches, left), pid);
    }
  } finally {
    if (pidfd >= 0) close(pidfd);
    notifications.close();
  }
}

/** The service manager while it is being told, and until it has read all of it (sd_notify_barrier(3)). */
interface Telling {
  watches(): Watch[];
  handle(): void;
  close(): void;
}

function tell(host: string, texts: readonly string[]): Telling {
  const unsent = [...texts];
  let socket: number | undefined;
  let barrier: number | undefined;
  const end = (): void => {
    for (const fd of [socket, barrier]) if (fd !== undefined) close(fd);
    socket = barrier = undefined;
  };
  const giveUp = ({
    syscall,
    message,
  }: {
    readonly syscall?: string | undefined;
    readonly message: string;
  }) => {
    end();
    const why = syscall === undefined ? message : `${syscall}: ${message}`;
    const what = `the service manager at ${host} may not know that the container is ready`;
    printError(`ctr-bun: warning: ${what}: ${why}\n`);
  };
  const sendNext = (to: number): void => {
    const [text] = unsent;
    if (text === undefined) {
      barrier = sendBarrier(to);
      close(to);
      socket = undefined;
      return;
    }
    const bytes = new TextEncoder().encode(text);
    check(sys("write", to, bytes, bytes.byteLength), { syscall: "write" });
    unsent.shift();
  };
  /** As much as it takes. */
  const send = (): void => {
    try {
      while (socket !== undefined) sendNext(socket);
    } catch (thrown) {
      const error = asCtrError(thrown);
      if (error.errno !== "EAGAIN") giveUp(error);
    }
  };
  try {
    socket = connectDatagram(host);
    check(sys("fcntl", socket, F_SETFL, O_NONBLOCK), { syscall: "fcntl" });
    send();
  } catch (thrown) {
    giveUp(asCtrError(thrown));
  }
  return {
    watches() {
      if (socket !== undefined) return [{ fd: socket, events: POLLOUT }];
      return barrier === undefined ? [] : [{ fd: barrier, events: POLLIN }];
    },
    handle() {
      // Otherwise the other end of the barrier is closed.
      if (socket !== undefined) send();
      else end();
    },
    close() {
      if (socket === undefined) end();
      else giveUp({ message: "it does not read what it is told" });
    },
  };
}

/** Sends one end of a pipe, and returns the other: it hangs up once that has been read and closed. */
function sendBarrier(socket: number): number {
  const pipe = new Uint8Array(8);
  check(sys("pipe2", pipe, O_CLOEXEC), { syscall: "pipe2" });
  const view = viewOf(pipe);
  const [reader, writer] = [view.getInt32(0, true), view.getInt32(4, true)];
  try {
    sendDescriptor(socket, new TextEncoder().encode("BARRIER=1"), writer);
    return reader;
  } catch (error) {
    close(reader);
    throw error;
  } finally {
    close(writer);
  }
}
