// The receiving side of --console-socket: a unix socket at a path, and the terminal that is sent to it (SCM_RIGHTS).

import { check } from "../../src/kernel/check.ts";
import { O_NONBLOCK, POLLIN } from "../../src/kernel/constants.ts";
import { close } from "../../src/kernel/file.ts";
import { poll } from "../../src/kernel/poll.ts";
import { sys } from "../../src/kernel/raw.ts";
import { receiveDescriptor } from "./receive-descriptor.ts";

/** A terminal's outer side. */
export interface Console {
  /** What came as the message beside the descriptor. */
  readonly name: string;
  /** Reads until the text has come, or the other side is gone, or nothing comes for ten seconds. */
  readUntil(text: string): string;
  write(text: string): void;
  close(): void;
}

export interface ConsoleSocket {
  /** Takes the terminal of the one who connected. */
  accept(): Console;
  close(): void;
}

/** Listens at a path. */
export function listenForConsole(path: string): ConsoleSocket {
  const receiver = receiveDescriptor(path);
  return {
    accept() {
      const { message, fd } = receiver.take();
      return consoleOf(fd, message);
    },
    close: () => receiver.close(),
  };
}

function consoleOf(fd: number, name: string): Console {
  const F_SETFL = 4;
  check(sys("fcntl", fd, F_SETFL, O_NONBLOCK), { syscall: "fcntl" });
  return {
    name,
    readUntil(text) {
      let all = "";
      const bytes = new Uint8Array(4096);
      while (!all.includes(text)) {
        if (poll([{ fd, events: POLLIN }], 10_000)[0] === 0) break;
        const n = sys("read", fd, bytes, bytes.byteLength);
        if (n <= 0) break;
        all += new TextDecoder().decode(bytes.subarray(0, n));
      }
      return all;
    },
    write(text) {
      const bytes = new TextEncoder().encode(text);
      check(sys("write", fd, bytes, bytes.byteLength), { syscall: "write" });
    },
    close: () => close(fd),
  };
}
