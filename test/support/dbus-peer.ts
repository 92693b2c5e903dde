// A process at the other end of D-Bus that does what it should not: `bun dbus-peer.ts SOCKET MODE`. It says "ready" on its
// standard output once it listens.

import { createServer, type Socket } from "node:net";
import { encodeMessage } from "../../src/kernel/dbus-message.ts";

const [path = "", mode = ""] = process.argv.slice(2);

const signal = encodeMessage({
  type: "signal",
  serial: 1,
  path: "/a",
  interface: "a.b",
  member: "Noise",
  body: [],
});

/** What follows each message of the client, once it is let in. */
const ANSWERS: Readonly<Record<string, (socket: Socket) => void>> = {
  mute: () => {},
  hangup: (socket) => socket.destroy(),
  garbage: (socket) => socket.write(Buffer.alloc(64, 0x7f)),
  huge: (socket) => socket.write(Buffer.from([108, 2, 0, 1, 0, 0, 0, 0x40, 1, 0, 0, 0, 0, 0, 0, 0])),
  // A message that is begun and never ends, byte by byte.
  drip: (socket) => {
    socket.write(Buffer.from([108, 2, 0, 1, 0, 0, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0]));
    setInterval(() => socket.write(Buffer.alloc(1)), 5);
  },
  // A bus that knows us, and falls over what comes next: the connection is reset, since nobody has read that.
  falls: (socket) => {
    socket.write(
      encodeMessage({ type: "return", serial: 1, replySerial: 1, signature: "s", body: [":1.1"] }),
    );
    socket.pause();
    setTimeout(() => socket.destroy(), 100);
  },
  noise: (socket) => {
    setInterval(() => socket.write(Buffer.concat(Array.from({ length: 100 }, () => signal))), 5);
  },
  stranger: (socket) => {
    socket.write(encodeMessage({ type: "return", serial: 1, replySerial: 4711, body: [] }));
  },
};

const server = createServer((socket) => {
  socket.on("error", () => {});
  if (mode === "silent") return;
  if (mode === "closes") {
    socket.destroy();
    return;
  }
  if (mode === "chatter") {
    setInterval(() => socket.write("x".repeat(1000)), 5);
    return;
  }
  let isIn = false;
  socket.on("data", () => {
    if (mode === "rejects") socket.write("REJECTED KERBEROS_V4\r\n");
    else if (isIn) ANSWERS[mode]?.(socket);
    else {
      isIn = true;
      socket.write(`DATA\r\nOK ${"0".repeat(32)}\r\n`);
    }
  });
});
server.listen(path, () => console.log("ready"));
