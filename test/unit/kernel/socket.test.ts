/** Unix sockets: messages keep their borders, descriptors come along, long paths go through a directory. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MSG_DONTWAIT, O_RDONLY } from "../../../src/kernel/constants.ts";
import { ERRNO } from "../../../src/kernel/errno.ts";
import { close, open, openDirectory, readAll, statusOf, withFd } from "../../../src/kernel/file.ts";
import { documentMemfd } from "../../../src/kernel/memfd.ts";
import { viewOf, words, words32 } from "../../../src/kernel/memory.ts";
import { addressOf, sys } from "../../../src/kernel/raw.ts";
import {
  listenUnix,
  receive,
  sendDescriptor,
  socketPair,
  tryConnectUnix,
} from "../../../src/kernel/socket.ts";

const descriptors = () => readdirSync("/proc/self/fd").length;

describe("a socket pair", () => {
  let a = -1;
  let b = -1;
  beforeEach(() => {
    [a, b] = socketPair();
  });
  afterEach(() => {
    close(a);
    close(b);
  });
  const buffer = new Uint8Array(64);

  test("is close-on-exec on both sides", () => {
    expect([sys("fcntl", a, 1), sys("fcntl", b, 1)]).toEqual([1, 1]);
  });

  test("keeps the borders of messages", () => {
    sys("write", a, Buffer.from("one"), 3);
    sys("write", a, Buffer.from("three"), 5);
    expect(receive(b, buffer)).toEqual({ length: 3, fd: undefined });
    expect(receive(b, buffer)).toEqual({ length: 5, fd: undefined });
    expect(Buffer.from(buffer.subarray(0, 5)).toString()).toBe("three");
  });

  test("carries a descriptor with the bytes, close-on-exec and of the same file", () => {
    const sent = documentMemfd("sent", Buffer.from("content"));
    const status = statusOf("", sent);
    sendDescriptor(a, words32(4, 2, 0), sent);
    close(sent);
    const message = receive(b, buffer);
    expect(message.length).toBe(12);
    expect(viewOf(buffer).getUint32(4, true)).toBe(2);
    const fd = message.fd ?? -1;
    withFd(fd, () => {
      expect(sys("fcntl", fd, 1)).toBe(1);
      expect(statusOf("", fd)).toEqual(status);
      expect(Buffer.from(readAll(fd)).toString()).toBe("content");
    });
  });

  test("gives no descriptor with the message after", () => {
    const sent = open("/dev/null", O_RDONLY);
    sendDescriptor(a, Buffer.from("x"), sent);
    sys("write", a, Buffer.from("y"), 1);
    close(receive(b, buffer).fd ?? -1);
    expect(receive(b, buffer)).toEqual({ length: 1, fd: undefined });
    close(sent);
  });

  test("that is empty gives EAGAIN when asked not to wait, and 0 once the other side is gone", () => {
    expect(receive(b, buffer, MSG_DONTWAIT)).toEqual({ length: -ERRNO.EAGAIN, fd: undefined });
    close(a);
    expect(receive(b, buffer)).toEqual({ length: 0, fd: undefined });
    a = -1;
  });

  test("sending a descriptor to nobody is an error, not a signal", () => {
    close(b);
    b = -1;
    expect(() => sendDescriptor(a, Buffer.from("x"), 0)).toThrow(expect.objectContaining({ errno: "EPIPE" }));
    expect(() => sendDescriptor(a, Buffer.from("x"), 9999)).toThrow(
      expect.objectContaining({ syscall: "sendmsg" }),
    );
  });

  // The control buffer has room for two numbers, and the second one is lost.
  test("no second descriptor stays open, whatever the other side sends", () => {
    const sent = open("/dev/null", O_RDONLY);
    const data = Buffer.from("x");
    const iovec = words(addressOf(data), 1);
    const control = new Uint8Array(24);
    control.set(words32(24, 0, 1, 1, sent, sent));
    const header = words(0, 0, addressOf(iovec), 1, addressOf(control), 24, 0);
    expect(sys("sendmsg", a, header, 0)).toBe(1);
    const before = descriptors();
    const { fd } = receive(b, buffer);
    const after = descriptors();
    for (let late = sent; late < sent + 8; late++) if (late !== a && late !== b) close(late);
    expect(fd).toBeGreaterThan(0);
    expect(after - before).toBe(1);
  });
});

describe("a socket at a path", () => {
  let work = "";
  beforeEach(() => {
    work = mkdtempSync(join(tmpdir(), "socket-"));
  });
  afterEach(() => rmSync(work, { recursive: true }));

  test("is connected to, and bytes go through", () => {
    const listener = listenUnix(join(work, "s"));
    const client = tryConnectUnix(join(work, "s"));
    const server = sys("accept4", listener, null, null, 0o2000000);
    sys("write", client, Buffer.from("hello"), 5);
    expect(receive(server, new Uint8Array(8)).length).toBe(5);
    for (const fd of [listener, client, server]) close(fd);
  });

  test("whose path is too long goes through its directory's descriptor", () => {
    const long = join(work, "d".repeat(200));
    mkdirSync(long);
    expect(() => listenUnix(join(long, "s"))).toThrow("longer than 107 bytes");
    withFd(openDirectory(long), (directory) => {
      const listener = listenUnix(`/proc/self/fd/${directory}/s`);
      const client = tryConnectUnix(`/proc/self/fd/${directory}/s`);
      expect(client).toBeGreaterThan(0);
      expect(readdirSync(long)).toEqual(["s"]);
      close(listener);
      close(client);
    });
  });

  test("that nobody listens at is -errno, and leaves no descriptor", () => {
    const before = descriptors();
    expect(tryConnectUnix(join(work, "none"))).toBe(-ERRNO.ENOENT);
    close(listenUnix(join(work, "s")));
    expect(tryConnectUnix(join(work, "s"))).toBe(-ERRNO.ECONNREFUSED);
    expect(() => listenUnix(join(work, "s"))).toThrow(expect.objectContaining({ errno: "EADDRINUSE" }));
    expect(descriptors()).toBe(before);
  });
});
