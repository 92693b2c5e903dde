/** What writeProgram writes: the file's header, the bytes of a row, the data; and what it refuses. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CtrError } from "../../../src/error.ts";
import { type MachineProgram, writeProgram } from "../../../src/machine/program.ts";
import type { Row } from "../../../src/plan/step.ts";
import {
  ARCHES,
  type Buffers,
  DATA_BASE,
  DATA_OFFSET,
  DESCRIPTORS,
  exit,
  program,
  ROW,
  step,
  TABLE_BASE,
} from "./runner.ts";

/** The 64 bytes of a row. */
function rowOf({ elf }: MachineProgram, index: number): DataView {
  return new DataView(elf.buffer, elf.byteOffset + DATA_OFFSET + TABLE_BASE - DATA_BASE + index * ROW, ROW);
}
/** The file's bytes at an address of the data part. */
function at({ elf }: MachineProgram, address: bigint | number): Uint8Array {
  return elf.subarray(DATA_OFFSET + Number(address) - DATA_BASE);
}
function refusal(rows: readonly Row[], buffers?: Buffers): string {
  try {
    program("x86_64", rows, buffers);
  } catch (error) {
    if (error instanceof CtrError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "written";
}

describe("a row", () => {
  test("has every field at its offset", () => {
    const written = program("x86_64", [
      {
        call: "openat",
        args: [1, { slot: "two" }, 3, 4, { slot: "five" }, 6],
        store: "kept",
        allow: "ENOENT",
        onError: "first",
        onZero: "second",
      },
      exit(0, "first"),
      exit(0, "second"),
    ]);
    const row = rowOf(written, 0);
    expect(row.getUint16(0, true)).toBe(257);
    expect(row.getUint8(2)).toBe(0b010010);
    expect(row.getUint8(3)).toBe(2);
    const store = row.getUint32(4, true);
    const args = [0, 1, 2, 3, 4, 5].map((i) => Number(row.getBigUint64(8 + 8 * i, true)));
    expect([args[0], args[2], args[3], args[5]]).toEqual([1, 3, 4, 6]);
    const slots = [args[1], args[4], store];
    expect(new Set(slots).size).toBe(3);
    for (const slot of slots) {
      expect(slot).toBeGreaterThanOrEqual(TABLE_BASE + 3 * ROW);
      expect((slot ?? 1) % 8).toBe(0);
    }
    expect(row.getUint32(56, true)).toBe(TABLE_BASE + ROW);
    expect(row.getUint32(60, true)).toBe(TABLE_BASE + 2 * ROW);
  });

  test("without options has zeros there", () => {
    const row = rowOf(program("x86_64", [{ call: "getpid", args: [] }, exit(0)]), 0);
    expect(row.getUint16(0, true)).toBe(39);
    for (let i = 2; i < ROW; i++) expect(row.getUint8(i)).toBe(0);
  });

  test("has the number of its architecture", () => {
    const rows = [exit(0)];
    expect(rowOf(program("x86_64", rows), 0).getUint16(0, true)).toBe(231);
    expect(rowOf(program("aarch64", rows), 0).getUint16(0, true)).toBe(94);
  });

  test("allows any errno by 0xff", () => {
    const row = rowOf(program("x86_64", [{ call: "getpid", args: [], allow: "any" }, exit(0)]), 0);
    expect(row.getUint8(3)).toBe(0xff);
  });

  test("is found by its index again, with its step", () => {
    const steps = [step([exit(0), exit(1)]), step([]), step([exit(2)])];
    const written = writeProgram({ arch: "x86_64", steps, descriptors: DESCRIPTORS });
    expect(written.stepOfRow).toEqual([0, 0, 2]);
    expect(written.rows.map((row) => row.args[0])).toEqual([0, 1, 2]);
  });
});

describe("data", () => {
  test("numbers and bigints of the same value are the same bytes, in two's complement", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const written = program("x86_64", [{ call: "getpid", args: [value, BigInt(value)] }, exit(0)]);
        const row = rowOf(written, 0);
        expect(row.getBigInt64(8, true)).toBe(BigInt(value));
        expect(row.getBigInt64(16, true)).toBe(BigInt(value));
      }),
    );
  });

  test("bigints of 64 bits are kept, signed and unsigned", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        const row = rowOf(program("x86_64", [{ call: "getpid", args: [value] }, exit(0)]), 0);
        expect(row.getBigUint64(8, true)).toBe(BigInt.asUintN(64, value));
      }),
    );
  });

  test("every string ends in a NUL, equal ones stand once, and none overlaps another", () => {
    const strings = fc.array(
      fc.string({ unit: "binary", maxLength: 20 }).filter((text) => !text.includes("\0")),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(strings, (texts) => {
        const written = program("x86_64", [{ call: "getpid", args: [{ words: texts }] }, exit(0)]);
        const words = at(written, rowOf(written, 0).getBigUint64(8, true));
        const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
        const addresses = new Map<string, bigint>();
        texts.forEach((text, i) => {
          const address = view.getBigUint64(8 * i, true);
          const bytes = Buffer.from(`${text}\0`);
          expect(Buffer.from(at(written, address).subarray(0, bytes.length)).equals(bytes)).toBe(true);
          expect(addresses.get(text) ?? address).toBe(address);
          addresses.set(text, address);
        });
        expect(new Set(addresses.values()).size).toBe(addresses.size);
      }),
    );
  });

  test("a string used by many rows makes the file no larger", () => {
    const rows = (count: number): Row[] =>
      Array.from({ length: 50 }, (_, i) => ({
        call: "getpid",
        args: i < count ? ["a long string".repeat(9)] : [],
      }));
    expect(program("x86_64", rows(50)).elf.byteLength).toBe(program("x86_64", rows(1)).elf.byteLength);
  });

  test("a small program is two pages", () => {
    expect(program("x86_64", [exit(0)]).elf.byteLength).toBeLessThan(8192);
  });

  test("its first word is the number of the report descriptor", () => {
    const written = writeProgram({ arch: "x86_64", steps: [step([exit(0)])], descriptors: { report: 71 } });
    expect([...at(written, DATA_BASE).subarray(0, 8)]).toEqual([71, 0, 0, 0, 0, 0, 0, 0]);
  });
});

for (const arch of ARCHES) {
  test(`the ${arch} file is a static executable that has no writable code and no executable stack`, () => {
    const { elf } = program(arch, [exit(0)]);
    const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
    expect(Buffer.from(elf.subarray(0, 4)).toString("latin1")).toBe("\x7fELF");
    expect(view.getUint16(16, true)).toBe(2);
    expect(view.getUint16(18, true)).toBe(arch === "aarch64" ? 183 : 62);
    const headers = Array.from({ length: view.getUint16(56, true) }, (_, i) => {
      const header = view.getUint32(32, true) + i * view.getUint16(54, true);
      return { type: view.getUint32(header, true), flags: view.getUint32(header + 4, true) };
    });
    expect(headers).toEqual([
      { type: 1, flags: 5 },
      { type: 1, flags: 6 },
      { type: 0x6474e551, flags: 6 },
    ]);
  });
}

describe("what a plan may not say", () => {
  test.each<[string, readonly Row[], string]>([
    ["an unknown call", [{ call: "fork", args: [] }], "INTERNAL: there is no call named fork"],
    [
      "a call that is a word of JavaScript",
      [{ call: "toString", args: [] }],
      "INTERNAL: there is no call named toString",
    ],
    ["an unknown label in onError", [{ ...exit(0), onError: "x" }], "INTERNAL: no row carries the label x"],
    ["an unknown label in onZero", [{ ...exit(0), onZero: "x" }], "INTERNAL: no row carries the label x"],
    [
      "an unknown label as an argument",
      [{ call: "fail", args: [-1, { label: "x" }] }],
      "INTERNAL: no row carries the label x",
    ],
    ["a label that stands twice", [exit(0, "x"), exit(1, "x")], "INTERNAL: label x stands twice"],
    ["an unknown descriptor", [{ call: "close", args: [{ fd: "x" }] }], "INTERNAL: no descriptor is named x"],
    [
      "an unknown descriptor in words",
      [{ call: "close", args: [{ words: [{ fd: "x" }] }] }],
      "INTERNAL: no descriptor is named x",
    ],
    [
      "a descriptor that is a word of JavaScript",
      [{ call: "close", args: [{ fd: "valueOf" }] }],
      "INTERNAL: no descriptor is named valueOf",
    ],
    ["an unknown errno", [{ ...exit(0), allow: "ENOTHING" }], "INTERNAL: there is no errno named ENOTHING"],
    [
      "an errno that is a word of JavaScript",
      [{ ...exit(0), allow: "valueOf" }],
      "INTERNAL: there is no errno named valueOf",
    ],
    [
      "a NUL in a string",
      [{ call: "chdir", args: ["/a\0b"] }],
      'INVALID_ARGUMENT: a NUL character in "/a\\u0000b"',
    ],
    [
      "a NUL in words",
      [{ call: "execve", args: ["/a", { words: ["a\0"] }] }],
      'INVALID_ARGUMENT: a NUL character in "a\\u0000"',
    ],
    [
      "more than six arguments",
      [{ call: "mmap", args: [1, 2, 3, 4, 5, 6, 7] }],
      "INTERNAL: mmap has 7 arguments: more than six",
    ],
    [
      "a slot inside words",
      [{ call: "getpid", args: [{ words: [{ slot: "s" }] }] }],
      "INTERNAL: slot s inside a constant struct",
    ],
  ])("%s", (_about, rows, message) => {
    expect(refusal(rows)).toBe(message);
  });

  test("a label may not stand in two steps either", () => {
    const steps = [step([exit(0, "x")]), step([exit(0, "x")])];
    expect(() => writeProgram({ arch: "x86_64", steps, descriptors: DESCRIPTORS })).toThrow(
      "label x stands twice",
    );
  });

  test("a buffer may not be declared by two steps", () => {
    const steps = [step([], { b: 8 }), step([exit(0)], { b: 16 })];
    expect(() => writeProgram({ arch: "x86_64", steps, descriptors: DESCRIPTORS })).toThrow(
      "buffer b declared twice",
    );
  });

  test("a program needs a report descriptor", () => {
    const request = { arch: "x86_64", steps: [step([exit(0)])], descriptors: {} } as const;
    expect(() => writeProgram(request)).toThrow("no descriptor is named report");
  });

  test.each<[string, Row, string]>([
    ["a store that ends behind it", { call: "getpid", args: [], store: { at: "b", offset: 9 } }, "offset 9"],
    ["a store before it", { call: "getpid", args: [], store: { at: "b", offset: -8 } }, "offset -8"],
    ["an address behind it", { call: "getpid", args: [{ at: "b", offset: 17 }] }, "offset 17"],
    ["a load behind it", { call: "getpid", args: [{ slot: "b", offset: 16 }] }, "offset 16"],
  ])("outside of a buffer: %s", (_about, row, offset) => {
    expect(refusal([row], { b: 13 })).toBe(`INTERNAL: ${offset} is outside of buffer b`);
  });

  test("the last place in a buffer is inside", () => {
    const rows: Row[] = [
      {
        call: "getpid",
        args: [
          { at: "b", offset: 16 },
          { slot: "b", offset: 8 },
        ],
        store: { at: "b", offset: 8 },
      },
    ];
    expect(refusal(rows, { b: 13 })).toBe("written");
  });
});
