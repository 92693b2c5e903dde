// A D-Bus peer that answers in systemd's place as it is told: `bun systemd-peer.ts SOCKET LOG ANSWERS`. ANSWERS is JSON:
// member of a call to a list of answers, the last of which is for all later ones: `{"error": NAME, "text": TEXT}`, or
// `{"signature": "s", "body": [...], "signal": [...]}`, the latter the body of a JobRemoved that follows, or
// `{"away": MILLISECONDS}`: it hangs up, and does not listen for so long. What has none is answered with nothing in it. Each connection ("connected") and call is a line of LOG. It says "ready" once it listens.

import { appendFileSync, renameSync } from "node:fs";
import { createServer } from "node:net";
import type { DbusValue } from "../../src/kernel/dbus-marshal.ts";
import { decodeMessage, encodeMessage, messageLength } from "../../src/kernel/dbus-message.ts";

export interface Answer {
  readonly away?: number;
  readonly error?: string;
  readonly text?: string;
  readonly signature?: string;
  readonly body?: readonly DbusValue[];
  /** Of a JobRemoved, and who sends it. */
  readonly signal?: readonly DbusValue[];
  readonly signalSender?: string;
}

const [path = "", log = "", answersText = "{}"] = process.argv.slice(2);
const answers = JSON.parse(answersText) as Record<string, Answer[]>;
const asked = new Map<string, number>();
const HEADER = 16;

function answerTo(key: string): Answer | undefined {
  const list = answers[key];
  const at = asked.get(key) ?? 0;
  asked.set(key, at + 1);
  return list?.[Math.min(at, list.length - 1)];
}

const server = createServer((socket) => {
  appendFileSync(log, "connected\n");
  let [kept, serial, isIn] = [Buffer.alloc(0), 0, false];
  socket.on("error", () => {});
  socket.on("data", (data) => {
    if (!isIn) {
      isIn = true;
      socket.write(`DATA\r\nOK ${"0".repeat(32)}\r\n`);
      return;
    }
    kept = Buffer.concat([kept, Buffer.from(data)]);
    while (kept.byteLength >= HEADER && kept.byteLength >= messageLength(kept)) {
      const call = decodeMessage(kept.subarray(0, messageLength(kept)));
      kept = kept.subarray(messageLength(kept));
      if (call?.member === undefined) continue;
      appendFileSync(log, `${call.member} ${JSON.stringify(call.body)}\n`);
      // Of properties each has answers of its own.
      const own = call.member === "Get" ? `Get ${String(call.body[1])}` : call.member;
      const { away, error, text = "", signature = "", body = [], signal, signalSender } = answerTo(own) ?? {};
      if (away !== undefined) {
        server.close();
        socket.destroy();
        setTimeout(() => listen(() => {}), away);
        return;
      }
      const to = { replySerial: call.serial, sender: ":1.1" };
      socket.write(
        error === undefined
          ? encodeMessage({ ...to, type: "return", serial: ++serial, signature, body })
          : encodeMessage({ ...to, type: "error", serial: ++serial, error, signature: "s", body: [text] }),
      );
      if (signal === undefined) continue;
      socket.write(
        encodeMessage({
          type: "signal",
          serial: ++serial,
          path: "/org/freedesktop/systemd1",
          interface: "org.freedesktop.systemd1.Manager",
          member: "JobRemoved",
          sender: signalSender ?? ":1.1",
          signature: "uoss",
          body: signal,
        }),
      );
    }
  });
});
/** There at once, also over the socket of somebody who listens no more. */
function listen(then: () => void): void {
  server.listen(`${path}.new`, () => {
    renameSync(`${path}.new`, path);
    then();
  });
}
listen(() => console.log("ready"));
