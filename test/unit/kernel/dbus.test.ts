// D-Bus's bytes: values and messages come back as they went, and no bytes of anybody's do more than an error.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { asCtrError } from "../../../src/error.ts";
import { socketsOf } from "../../../src/kernel/dbus.ts";
import { type DbusValue, marshal, unmarshal } from "../../../src/kernel/dbus-marshal.ts";
import { decodeMessage, encodeMessage, messageLength } from "../../../src/kernel/dbus-message.ts";
import { parseSignature, signatureOf } from "../../../src/kernel/dbus-type.ts";

interface Typed {
  readonly signature: string;
  readonly value: DbusValue;
}

const wellFormed = fc
  .string({ unit: "binary" })
  .filter((text) => text.isWellFormed() && !text.includes("\0"));
const objectPath = fc
  .array(fc.stringMatching(/^[A-Za-z0-9_]{1,8}$/), { maxLength: 4 })
  .map((parts) => `/${parts.join("/")}`);

const BASIC: Readonly<Record<string, fc.Arbitrary<DbusValue>>> = {
  y: fc.nat(0xff),
  b: fc.boolean(),
  n: fc.integer({ min: -0x8000, max: 0x7fff }),
  q: fc.nat(0xffff),
  i: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  u: fc.nat(0xffffffff),
  x: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  t: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  d: fc.double(),
  s: wellFormed,
  o: objectPath,
  g: fc.constantFrom("", "a{sv}", "(it)"),
};
const basic: fc.Arbitrary<Typed> = fc
  .constantFrom(...Object.keys(BASIC))
  .chain((signature) => (BASIC[signature] ?? fc.nat(1)).map((value) => ({ signature, value })));

/** A value of any type. Lists have elements of one type: copies of one value. */
const { typed } = fc.letrec<{ typed: Typed }>((tie) => ({
  typed: fc.oneof(
    { maxDepth: 5 },
    basic,
    fc
      .tuple(tie("typed"), fc.nat(3))
      .filter(([{ signature }]) => signature !== "y")
      .map(([{ signature, value }, count]) => ({
        signature: `a${signature}`,
        value: Array.from({ length: count }, () => value),
      })),
    fc.uint8Array({ maxLength: 20 }).map((value) => ({ signature: "ay", value })),
    fc.array(tie("typed"), { minLength: 1, maxLength: 4 }).map((fields) => ({
      signature: `(${fields.map(({ signature }) => signature).join("")})`,
      value: fields.map(({ value }) => value),
    })),
    fc.tuple(basic, tie("typed"), fc.nat(3)).map(([key, one, count]) => ({
      signature: `a{${key.signature}${one.signature}}`,
      value: Array.from({ length: count }, () => [key.value, one.value]),
    })),
    tie("typed").map((value) => ({ signature: "v", value })),
  ),
}));

/** Runs, and lets pass only what a caller can tell of: an error with the code DBUS. */
function onlyDbusErrors(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    expect(asCtrError(error).code).toBe("DBUS");
  }
}

describe("values", () => {
  test("have the bytes that the specification shows", () => {
    // "Marshaling": a string is its length, itself and a NUL; an array's elements are padded, its padding not counted.
    expect([...marshal("s", ["foo"])]).toEqual([3, 0, 0, 0, 102, 111, 111, 0]);
    expect([...marshal("at", [[5n]])]).toEqual([8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
    expect([...marshal("yv", [1, { signature: "u", value: 7 }])]).toEqual([1, 1, 117, 0, 7, 0, 0, 0]);
    expect([...marshal("b(y)", [true, [9]])]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 9]);
    expect([...marshal("n", [-2])]).toEqual([0xfe, 0xff]);
  });

  test("come back as they went", () => {
    fc.assert(
      fc.property(fc.array(typed, { maxLength: 4 }), (list) => {
        const signature = list.map((one) => one.signature).join("");
        if (signature.length > 255) return;
        const values = list.map((one) => one.value);
        expect(unmarshal(signature, marshal(signature, values))).toEqual(values);
      }),
      { numRuns: 300 },
    );
  });

  test("that are not of their type are refused", () => {
    const bad: [string, DbusValue][] = [
      ["y", 256],
      ["i", 1.5],
      ["u", -1],
      ["t", 5],
      ["t", 1n << 64n],
      ["x", 1n << 63n],
      ["b", 1],
      ["s", "a\0b"],
      ["s", "\ud800"],
      ["o", "no/path"],
      ["o", "/a//b"],
      ["g", "a"],
      ["as", "text"],
      ["(ss)", ["one"]],
      ["v", "text"],
      ["v", { signature: "ss", value: "two types" }],
      ["a{ss}", [["key"]]],
    ];
    for (const [signature, value] of bad) {
      expect(() => marshal(signature, [value]), `${signature}`).toThrow(/D-Bus/);
    }
  });

  test("of foreign bytes are an error, never more than that", () => {
    const signatures = fc.constantFrom(
      "s",
      "as",
      "a(sv)",
      "v",
      "ay",
      "a{sv}",
      "(yyyyuua(yv))",
      "aas",
      "b",
      "o",
    );
    fc.assert(
      fc.property(signatures, fc.uint8Array({ maxLength: 64 }), (signature, bytes) => {
        onlyDbusErrors(() => unmarshal(signature, bytes));
      }),
      { numRuns: 2000 },
    );
  });

  test("of bytes that were changed are an error, or other values", () => {
    fc.assert(
      fc.property(typed, fc.nat(), fc.nat(0xff), ({ signature, value }, where, to) => {
        if (signature.length > 255) return;
        const bytes = marshal(signature, [value]);
        if (bytes.byteLength > 0) bytes[where % bytes.byteLength] = to;
        onlyDbusErrors(() => unmarshal(signature, bytes));
        onlyDbusErrors(() => unmarshal(signature, bytes.subarray(0, where % (bytes.byteLength + 1))));
      }),
      { numRuns: 1000 },
    );
  });

  test("cannot be nested without end", () => {
    // A variant in a variant in a variant: three bytes a level.
    const deep = new Uint8Array(3000).map((_, at) => [1, 118, 0][at % 3] ?? 0);
    expect(() => unmarshal("v", deep)).toThrow("nested too deeply");
    let value: DbusValue = 1;
    for (let level = 0; level < 100; level++) value = { signature: level === 0 ? "y" : "v", value };
    expect(() => marshal("v", [{ signature: "v", value }])).toThrow("nested too deeply");
  });
});

describe("signatures", () => {
  test("are trees of types", () => {
    for (const signature of ["", "s", "a(sa(sv))", "a{sa{sv}}", "(y(b)at)", "aaaay"]) {
      expect(parseSignature(signature).map(signatureOf).join("")).toBe(signature);
    }
  });

  test("that are none are refused", () => {
    const long = "a".repeat(40);
    for (const bad of [
      "a",
      "(",
      "()",
      ")",
      "{sv}",
      "a{vs}",
      "a{s}",
      "a{sss}",
      "z",
      "(s",
      `${long}s`,
      "y".repeat(256),
    ]) {
      expect(() => parseSignature(bad), bad).toThrow("not a D-Bus signature");
    }
    expect(() => parseSignature(`${"(".repeat(40)}s${")".repeat(40)}`)).toThrow("nested too deeply");
  });
});

describe("messages", () => {
  const call = {
    type: "call",
    serial: 7,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "StopUnit",
    destination: "org.freedesktop.systemd1",
    signature: "ss",
    body: ["a.scope", "replace"],
  } as const;

  test("come back as they went, and tell their length from their first bytes", () => {
    const bytes = encodeMessage(call);
    expect(messageLength(bytes.subarray(0, 16))).toBe(bytes.byteLength);
    expect(decodeMessage(bytes)).toEqual(call);
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe("l\x01\0\x01");
  });

  test("that are too long, big-endian, of another version or without what they need are refused", () => {
    const bytes = encodeMessage(call);
    const changed = (at: number, ...to: number[]): Uint8Array => {
      const copy = bytes.slice();
      copy.set(to, at);
      return copy;
    };
    expect(() => messageLength(changed(4, 0, 0, 0, 0x10))).toThrow("bytes, more than");
    expect(() => messageLength(changed(12, 0xff, 0xff, 0xff, 0xff))).toThrow("bytes, more than");
    expect(() => messageLength(changed(0, 66))).toThrow("big-endian");
    expect(() => messageLength(changed(0, 72))).toThrow("begins with byte 72");
    expect(() => messageLength(changed(3, 2))).toThrow("version 2");
    expect(() => decodeMessage(changed(8, 0, 0, 0, 0))).toThrow("its type or its serial is 0");
    // Of a type that is yet to be invented: to be ignored.
    expect(decodeMessage(changed(1, 9))).toBeUndefined();
    const { member: _member, ...nameless } = call;
    expect(() => decodeMessage(encodeMessage(nameless))).toThrow("a call without the field member");
  });

  test("of foreign bytes are an error, never more than that", () => {
    const bytes = encodeMessage(call);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.byteLength - 1), fc.nat(0xff)), { maxLength: 6 }),
        (changes) => {
          const copy = bytes.slice();
          for (const [at, to] of changes) copy[at] = to;
          onlyDbusErrors(() => {
            const length = messageLength(copy);
            if (length <= copy.byteLength) decodeMessage(copy.subarray(0, length));
          });
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("addresses", () => {
  test("name sockets, in files and abstract", () => {
    expect(socketsOf("unix:path=/run/user/1000/bus")).toEqual(["/run/user/1000/bus"]);
    expect(
      socketsOf("tcp:host=localhost,port=1;unix:abstract=/tmp/dbus-x,guid=00ff;unix:path=/a%20b"),
    ).toEqual(["@/tmp/dbus-x", "/a b"]);
  });

  test("without a unix socket are refused", () => {
    for (const bad of ["", "tcp:host=localhost", "autolaunch:", "unix:tmpdir=/tmp"]) {
      expect(() => socketsOf(bad)).toThrow("no address of a unix socket");
    }
    expect(() => socketsOf("unix:path=%zz")).toThrow("not a value of a D-Bus address");
  });
});
