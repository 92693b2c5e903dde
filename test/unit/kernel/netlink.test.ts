// Netlink's bytes: every length is checked, on the way out and on the way in.

import { describe, expect, test } from "bun:test";
import { withFd } from "../../../src/kernel/file.ts";
import { addressesOf, findLink } from "../../../src/kernel/link.ts";
import {
  attribute,
  decodeAttributes,
  decodeError,
  decodeMessages,
  encodeRequest,
  openRouteSocket,
} from "../../../src/kernel/netlink.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("a request", () => {
  test("has its length, its type and its attributes, each padded to four bytes", () => {
    const request = encodeRequest(
      {
        type: 16,
        flags: 0x100,
        header: new Uint8Array(16),
        attributes: [attribute(3, bytes(1, 2, 3, 4, 5))],
      },
      7,
    );
    expect(request.byteLength).toBe(16 + 16 + 12);
    expect([...request.subarray(0, 12)]).toEqual([44, 0, 0, 0, 16, 0, 0x05, 0x01, 7, 0, 0, 0]);
    expect([...request.subarray(32)]).toEqual([9, 0, 3, 0, 1, 2, 3, 4, 5, 0, 0, 0]);
  });

  // CVE-2021-43784: a length of 65536 more would be written as one of 0.
  test("refuses contents that a length of 16 bits cannot tell", () => {
    expect(attribute(1, new Uint8Array(65_531)).byteLength).toBe(65_536);
    for (const size of [65_532, 65_536, 131_072])
      expect(() => attribute(1, new Uint8Array(size))).toThrow(`netlink attribute 1 of ${size} bytes`);
    expect(() => attribute(0x10003, bytes(1))).toThrow("netlink attribute 65539");
  });
});

describe("an answer", () => {
  test("is read back as it was written", () => {
    const attributes = [attribute(3, bytes(1, 2, 3)), attribute(0x8004, bytes())];
    const [message] = decodeMessages(encodeRequest({ type: 20, header: new Uint8Array(8), attributes }, 9));
    expect(message).toMatchObject({ type: 20, sequence: 9 });
    const found = decodeAttributes(message?.body.subarray(8) ?? bytes());
    expect([...found]).toEqual([
      [3, bytes(1, 2, 3)],
      [4, bytes()],
    ]);
  });

  test.each([
    ["an attribute longer than its message", bytes(9, 0, 1, 0, 1, 2, 3, 4)],
    ["an attribute shorter than its head", bytes(3, 0, 1, 0, 1, 2, 3, 4)],
    ["an attribute of length 0", bytes(0, 0, 1, 0)],
  ])("with %s is refused", (_, body) => {
    expect(() => decodeAttributes(body)).toThrow("an attribute whose length is wrong");
  });

  test("with a message longer than the datagram, or shorter than its head, is refused", () => {
    for (const length of [0, 15, 17]) {
      const datagram = new Uint8Array(16);
      datagram[0] = length;
      expect(() => decodeMessages(datagram)).toThrow("a message whose length is wrong");
    }
  });

  test("of random bytes is read or refused, and never read beyond its end", () => {
    for (let round = 0; round < 2000; round++) {
      const random = crypto.getRandomValues(new Uint8Array(round % 64));
      // Lengths that are plausible reach further than random ones.
      if (random.byteLength > 1) [random[0], random[1]] = [round % 70, 0];
      for (const read of [
        decodeAttributes,
        decodeMessages,
        (body: Uint8Array) => decodeError({ body, flags: 0 }),
      ]) {
        try {
          read(random);
        } catch (error) {
          expect(`${error}`).toContain("whose length is wrong");
        }
      }
    }
  });

  test("that is an error has the kernel's errno and words", () => {
    const head = new Uint8Array(20);
    new DataView(head.buffer).setInt32(0, -22, true);
    const words = attribute(1, new TextEncoder().encode("no such thing\0"));
    const body = new Uint8Array([...head, ...words]);
    expect(decodeError({ body, flags: 0x100 })).toEqual({ errno: 22, words: "no such thing" });
    expect(decodeError({ body: head, flags: 0x100 })).toEqual({ errno: 22, words: undefined });
    expect(() => decodeError({ body: bytes(1, 2, 3), flags: 0 })).toThrow("an error whose length is wrong");
  });
});

describe("the kernel", () => {
  test("tells of lo and its address, and that another device is not there", () => {
    withFd(openRouteSocket(), (socket) => {
      const lo = findLink(socket, "lo");
      expect(lo).toMatchObject({ name: "lo", index: 1 });
      expect(findLink(socket, "no-such-device")).toBeUndefined();
      for (const { family, attributes } of addressesOf(socket, 1)) {
        const address = [...(attributes.get(1) ?? [])];
        expect(family === 2 ? address : address.slice(-1)).toEqual(family === 2 ? [127, 0, 0, 1] : [1]);
      }
    });
  });
});
