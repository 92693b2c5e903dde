/** The outer side of a container's terminal: handed to a socket, or passed through to ctr-bun's own terminal. */
import { fail } from "../error.ts";
import { callError } from "../kernel/check.ts";
import { F_GETFL, F_SETFL, O_NONBLOCK, POLLERR, POLLHUP, POLLIN, POLLOUT } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close } from "../kernel/file.ts";
import type { Watch } from "../kernel/poll.ts";
import { sys } from "../kernel/raw.ts";
import { sendDescriptor, tryConnectUnix } from "../kernel/socket.ts";
import { copyWindowSize, isTerminal, makeRaw } from "../kernel/terminal.ts";

/** Connects to a console socket, before anything is made: one that nobody listens on is an error at once. */
export function connectConsoleSocket(path: string): number {
  const fd = tryConnectUnix(path, true);
  if (fd >= 0) return fd;
  throw callError(-fd, {
    syscall: "connect",
    path,
    field: "--console-socket",
    message: "cannot connect to the console socket",
    hint: "somebody must listen there to receive the terminal",
  });
}

/** Sends the terminal's other side, with its name as the message (as runc does). */
function sendConsole(socket: number, console: number): void {
  sendDescriptor(socket, new TextEncoder().encode("/dev/ptmx"), console);
  close(console);
}

/** Takes the terminal that the init sends: it goes to the socket, or, where there is none, is given to `keep`. */
export function takeConsole(
  socket: number | undefined,
  keep: (master: number) => void,
): (fd: number) => void {
  return (fd) => {
    if (socket !== undefined) sendConsole(socket, fd);
    else {
      keep(fd);
      // Now, while the program has not started: it may ask for the size at once.
      copyWindowSize(0, fd);
    }
  };
}

const CHUNK = 65536;

/** Bytes on their way from one descriptor to another. */
class Flow {
  #buffer = new Uint8Array(CHUNK);
  #start = 0;
  #end = 0;
  open = true;

  constructor(
    readonly from: number,
    readonly to: number,
  ) {}

  get pending(): boolean {
    return this.#end > this.#start;
  }

  read(): void {
    const n = sys("read", this.from, this.#buffer, CHUNK);
    if (n === -ERRNO.EAGAIN || n === -ERRNO.EINTR) return;
    if (n <= 0) this.open = false;
    else [this.#start, this.#end] = [0, n];
  }

  write(): void {
    const n = sys("write", this.to, this.#buffer.subarray(this.#start, this.#end), this.#end - this.#start);
    if (n === -ERRNO.EAGAIN || n === -ERRNO.EINTR) return;
    if (n < 0) [this.open, this.#start] = [false, this.#end];
    else this.#start += n;
  }
}

/** Passes a terminal through to ours. */
export interface Relay {
  watches(): Watch[];
  handle(events: readonly number[]): void;
  resize(): void;
  /** Passes on what is still there and gives our terminal back. */
  end(): void;
}

/** Our terminal becomes raw; bytes go both ways until {@link Relay.end}. */
export function relayTerminal(master: number): Relay {
  const restore = isTerminal(0) ? makeRaw(0) : () => undefined;
  copyWindowSize(0, master);
  const flags = sys("fcntl", master, F_GETFL, 0);
  sys("fcntl", master, F_SETFL, flags | O_NONBLOCK);
  const inward = new Flow(0, master);
  const outward = new Flow(master, 1);
  const flows = [inward, outward];
  return {
    watches: () =>
      flows.flatMap((flow) => [
        { fd: flow.open && !flow.pending ? flow.from : -1, events: POLLIN },
        { fd: flow.open && flow.pending ? flow.to : -1, events: POLLOUT },
      ]),
    handle(events) {
      flows.forEach((flow, index) => {
        const [readable = 0, writable = 0] = events.slice(index * 2, index * 2 + 2);
        if ((readable & (POLLIN | POLLHUP | POLLERR)) !== 0) flow.read();
        if (writable !== 0) flow.write();
      });
    },
    resize: () => copyWindowSize(0, master),
    end() {
      while (outward.open) {
        if (outward.pending) outward.write();
        else {
          outward.read();
          if (!outward.pending) break;
        }
      }
      close(master);
      restore();
    },
  };
}

/** What `run` and `exec` without a terminal of their own must refuse. */
export function noConsole(): Error {
  return fail({
    code: "INVALID_CONFIG",
    field: "process.terminal",
    message: "a container in the background needs somebody to hold its terminal",
    hint: "give --console-socket, or set process.terminal to false",
  });
}
