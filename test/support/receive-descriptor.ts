// The receiving side of a unix socket to which one descriptor is sent (SCM_RIGHTS).
import { rmSync } from "node:fs";
import { check } from "../../src/kernel/check.ts";
import { AF_UNIX, POLLIN, SOCK_CLOEXEC, SOCK_STREAM } from "../../src/kernel/constants.ts";
import { close } from "../../src/kernel/file.ts";
import { poll } from "../../src/kernel/poll.ts";
import { sys } from "../../src/kernel/raw.ts";
import { receive } from "../../src/kernel/socket.ts";

/** A message and the descriptor beside it; whoever takes it closes it. */
export interface Received {
  readonly message: string;
  readonly fd: number;
}

/** Listens at a path, until what somebody sent is taken. */
export function receiveDescriptor(path: string): { take(): Received; close(): void } {
  const name = new TextEncoder().encode(path);
  const address = new Uint8Array(2 + name.byteLength + 1);
  address[0] = AF_UNIX;
  address.set(name, 2);
  const socket = check(sys("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), { syscall: "socket" });
  check(sys("bind", socket, address, address.byteLength), { syscall: "bind", path });
  check(sys("listen", socket, 1), { syscall: "listen", path });
  let open = true;
  const stop = () => {
    if (!open) return;
    open = false;
    close(socket);
    rmSync(path, { force: true });
  };
  return {
    take() {
      if (poll([{ fd: socket, events: POLLIN }], 10_000)[0] === 0) throw new Error("nobody connected");
      const connection = check(sys("accept4", socket, 0, 0, SOCK_CLOEXEC), { syscall: "accept4" });
      const data = new Uint8Array(256);
      const { length, fd } = receive(connection, data);
      close(connection);
      if (fd === undefined) throw new Error("no descriptor came");
      stop();
      return { message: new TextDecoder().decode(data.subarray(0, length)), fd };
    },
    close: stop,
  };
}
