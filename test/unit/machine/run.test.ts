/**
 * The stub, by running it: every flag, jump, pseudo call and report, each case on both architectures (the other one
 * under qemu). Programs built at random are in random.test.ts, the bytes of a row in program.test.ts.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../../../src/kernel/check.ts";
import { POLLIN } from "../../../src/kernel/constants.ts";
import { ERRNO } from "../../../src/kernel/errno.ts";
import { close, tryRead } from "../../../src/kernel/file.ts";
import { viewOf, words32 } from "../../../src/kernel/memory.ts";
import { sys } from "../../../src/kernel/raw.ts";
import type { Arg, Row } from "../../../src/plan/step.ts";
import {
  ARCHES,
  type Buffers,
  commandFor,
  exit,
  message,
  native,
  type Outcome,
  program,
  run,
  show,
  TABLE_BASE,
} from "./runner.ts";

const FAILED = 3;
const OUT = { fd: "out" };
const IN = { fd: "in" };
/** A call that fails with EBADF and changes nothing. */
const BAD: Row = { call: "close", args: [-1] };
const SEEK_SET = 0;

/** lseek in `in`: a call whose result the test chooses. */
function give(value: number | bigint, more: Partial<Row> = {}): Row {
  return { call: "lseek", args: [IN, value, SEEK_SET], ...more };
}
/** Text to `out`, to see which way a program went. */
function say(text: string, label?: string): Row {
  const row = { call: "write", args: [OUT, text, text.length] };
  return label === undefined ? row : { ...row, label };
}
function text(outcome: Outcome): string {
  return Buffer.from(outcome.out).toString();
}
function bytes64(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(new BigUint64Array(values).buffer);
}

interface Case {
  readonly about: string;
  readonly rows: readonly Row[];
  readonly buffers?: Buffers;
  readonly input?: Uint8Array;
  readonly code?: number;
  readonly report?: Uint8Array;
  readonly text?: string;
  readonly words?: readonly bigint[];
  readonly stdout?: string;
}

const results: readonly Case[] = [
  {
    about: "rows run in order, and exit_group ends with its code",
    rows: [say("a"), say("b"), exit(42)],
    code: 42,
    text: "ab",
  },
  {
    about: "a result is stored in a slot",
    rows: [give(77, { store: "s" }), show("s"), exit(0)],
    words: [77n],
  },
  {
    about: "a stored result has 64 bits",
    rows: [give(0x1_2345_6789_an, { store: "s" }), show("s"), exit(0)],
    words: [0x1_2345_6789_an],
  },
  {
    about: "a result is stored into a buffer at an offset, and nothing beside it changes",
    buffers: { b: 40 },
    rows: [
      give(7, { store: { at: "b", offset: 16 } }),
      give(9, { store: { at: "b" } }),
      show("b", 40),
      exit(0),
    ],
    words: [9n, 0n, 7n, 0n, 0n],
  },
  {
    about: "a result is stored at an offset that is not aligned",
    buffers: { b: 16 },
    rows: [give(0x0807_0605_04n, { store: { at: "b", offset: 3 } }), show("b", 16), exit(0)],
    words: [0x0807_0605_04n << 24n, 0n],
  },
  {
    about: "without a store the result is nowhere",
    rows: [give(5, { store: "s" }), give(6), show("s"), exit(0)],
    words: [5n],
  },
  {
    about: "a slot starts as 0, and its last result stays",
    rows: [show("s"), give(1, { store: "s" }), give(2, { store: "s" }), show("s"), exit(0)],
    words: [0n, 2n],
  },
  {
    about: "an error that is allowed is stored, as -errno",
    rows: [{ ...BAD, allow: "EBADF", store: "s" }, show("s"), exit(0)],
    words: [BigInt.asUintN(64, -9n)],
  },
];

const jumps: readonly Case[] = [
  {
    about: "onZero goes to its row when the result is 0",
    rows: [give(0, { onZero: "there" }), say("not"), say("yes", "there"), exit(0)],
    text: "yes",
  },
  {
    about: "onZero does nothing when the result is not 0",
    rows: [give(1, { onZero: "there" }), say("next "), say("row", "there"), exit(0)],
    text: "next row",
  },
  {
    about: "a result of 0 without onZero goes to the next row",
    rows: [give(0), say("next"), exit(0)],
    text: "next",
  },
  {
    about: "onZero goes backwards as well",
    // Reads `in` byte by byte: read gives 0 at the end of the file, lseek to 1 is not 0.
    input: Buffer.from("xyz"),
    buffers: { b: 8 },
    rows: [
      { call: "read", args: [IN, { at: "b" }, 1], onZero: "end", label: "again" },
      { call: "write", args: [OUT, { at: "b" }, 1] },
      { call: "test", args: [0, 0, 0], onZero: "again" },
      exit(3, "end"),
    ],
    code: 3,
    text: "xyz",
  },
  {
    about: "the errno that allow names goes to onError",
    rows: [{ ...BAD, allow: "EBADF", onError: "there" }, say("not"), say("yes", "there"), exit(0)],
    text: "yes",
  },
  {
    about: "any errno goes to onError under allow any",
    rows: [
      { ...BAD, allow: "any", onError: "one" },
      say("not"),
      { call: "lseek", args: [IN, 0, 99], allow: "any", onError: "two", label: "one" },
      say("not"),
      say("yes", "two"),
      exit(0),
    ],
    text: "yes",
  },
  {
    about: "an errno other than the allowed one is fatal, onError or not",
    rows: [say("a"), { ...BAD, allow: "EINVAL", onError: "there" }, say("b"), say("c", "there"), exit(0)],
    code: 1,
    text: "a",
    report: message(FAILED, ERRNO.EBADF, 1),
  },
  {
    about: "an allowed errno without onError goes to the next row",
    rows: [{ ...BAD, allow: "EBADF" }, say("next"), { ...BAD, allow: "any" }, say(" row"), exit(0)],
    text: "next row",
  },
  {
    about: "an error does not take onZero",
    rows: [{ ...BAD, allow: "any", onZero: "there" }, say("next"), exit(0), say("not", "there"), exit(0)],
    text: "next",
  },
  {
    about: "a result that is no error does not take onError",
    rows: [give(9, { allow: "any", onError: "there" }), say("next"), exit(0), say("not", "there"), exit(0)],
    text: "next",
  },
  {
    about: "a row may go to itself",
    // The first close gives 0 and comes back, the second fails and goes on.
    rows: [
      { call: "fcntl", args: [IN, 1030, 300], store: "high" },
      { call: "close", args: [{ slot: "high" }], onZero: "self", allow: "EBADF", label: "self" },
      exit(6),
    ],
    code: 6,
  },
  {
    about: "the child's side of clone goes to its own row",
    buffers: { status: 8 },
    rows: [
      { call: "clone", args: [17, 0, 0, 0, 0], store: "pid", onZero: "child" },
      { call: "wait4", args: [{ slot: "pid" }, { at: "status" }, 0, 0] },
      say("parent"),
      { call: "test", args: [{ slot: "status" }, 0xffff, 9 << 8], onZero: "good" },
      exit(1),
      exit(0, "good"),
      say("child ", "child"),
      exit(9),
    ],
    text: "child parent",
  },
];

const word = 0xfedc_ba98_7654_3210n;
const tests: readonly Case[] = [
  {
    about: "test gives 0 for equal and 1 for not equal",
    rows: [
      { call: "test", args: [5, 0xff, 5], store: "s" },
      show("s"),
      { call: "test", args: [5, 0xff, 6], store: "s" },
      show("s"),
      exit(0),
    ],
    words: [0n, 1n],
  },
  {
    about: "test goes to onZero when equal, to the next row when not",
    rows: [
      { call: "test", args: [4, 6, 5], onZero: "wrong" },
      { call: "test", args: [5, 6, 4], onZero: "right" },
      exit(1),
      exit(2, "wrong"),
      exit(3, "right"),
    ],
    code: 3,
  },
  {
    about: "test compares all 64 bits, and masks all 64 bits",
    input: bytes64(word),
    rows: [
      { call: "read", args: [IN, { at: "s" }, 8] },
      { call: "test", args: [{ slot: "s" }, -1, word], store: { at: "r" } },
      { call: "test", args: [{ slot: "s" }, -1, word ^ (1n << 63n)], store: { at: "r", offset: 8 } },
      { call: "test", args: [{ slot: "s" }, -1, word ^ 1n], store: { at: "r", offset: 16 } },
      {
        call: "test",
        args: [{ slot: "s" }, 0xf000_0000_0000_0000n, 0xf000_0000_0000_0000n],
        store: { at: "r", offset: 24 },
      },
      { call: "test", args: [{ slot: "s" }, 0xffff_ffffn, 0x7654_3210], store: { at: "r", offset: 32 } },
      show("r", 40),
      exit(0),
    ],
    buffers: { r: 40 },
    words: [0n, 1n, 1n, 0n, 0n],
  },
  {
    about: "test takes its mask and its value from slots too",
    input: bytes64(word, 0xff00n, word & 0xff00n),
    rows: [
      { call: "read", args: [IN, { at: "a" }, 8] },
      { call: "read", args: [IN, { at: "mask" }, 8] },
      { call: "read", args: [IN, { at: "value" }, 8] },
      { call: "test", args: [{ slot: "a" }, { slot: "mask" }, { slot: "value" }], onZero: "equal" },
      exit(1),
      exit(0, "equal"),
    ],
  },
  {
    about: "a value in the range of errors is no error for test",
    rows: [{ call: "test", args: [-9, -1, -9], onZero: "equal" }, exit(1), exit(4, "equal")],
    code: 4,
  },
];

const failures: readonly Case[] = [
  {
    about: "a failure reports its errno and its row",
    rows: [say("a"), say("b"), BAD, exit(0)],
    code: 1,
    text: "ab",
    report: message(FAILED, ERRNO.EBADF, 2),
  },
  {
    about: "the first row is row 0",
    rows: [{ call: "openat", args: [-100, "/nonexistent/x", 0] }, exit(0)],
    code: 1,
    report: message(FAILED, ERRNO.ENOENT, 0),
  },
  {
    about: "fail reports the errno kept in a slot, as the failure of a row that it names",
    rows: [
      say("a"),
      { call: "openat", args: [-100, "/nonexistent/x", 0], allow: "ENOENT", store: "e", label: "tried" },
      { ...BAD, allow: "any" },
      { call: "fail", args: [{ slot: "e" }, { label: "tried" }] },
      exit(0),
    ],
    code: 1,
    report: message(FAILED, ERRNO.ENOENT, 1),
  },
  {
    about: "fail reports a constant errno, and can name a row that comes later",
    rows: [{ call: "fail", args: [-ERRNO.EACCES, { label: "later" }] }, exit(0), exit(0, "later")],
    code: 1,
    report: message(FAILED, ERRNO.EACCES, 2),
  },
  {
    about: "where the report cannot be sent the program still ends with 1",
    rows: [{ call: "close", args: [{ fd: "report" }] }, BAD, exit(0)],
    code: 1,
    report: message(),
  },
  {
    about: "the program's own reports come before the failure's",
    rows: [{ call: "write", args: [{ fd: "report" }, { bytes: message(2, 1, 0) }, 12] }, BAD, exit(0)],
    code: 1,
    report: message(2, 1, 0, FAILED, ERRNO.EBADF, 1),
  },
  {
    about: "a program that runs past its last row fails there, and executes nothing of the data behind it",
    rows: [say("a"), say("exit", "last")],
    code: 1,
    text: "aexit",
    report: message(FAILED, ERRNO.ENOEXEC, 1),
  },
  {
    about: "a last row whose errno is allowed does not run into the data",
    rows: [say("a"), { ...BAD, allow: "EBADF" }],
    code: 1,
    text: "a",
    report: message(FAILED, ERRNO.ENOEXEC, 1),
  },
];

const data: readonly Case[] = [
  {
    about: "negative arguments are extended to 64 bits",
    input: Buffer.from("0123456789"),
    rows: [{ call: "lseek", args: [IN, -3, 2], store: "s" }, show("s"), exit(0)],
    words: [7n],
  },
  {
    about: "constants of 64 bits arrive whole",
    rows: [{ call: "write", args: [OUT, { words: [word, -1n, -1, 2 ** 53 - 1, -(2 ** 40)] }, 40] }, exit(0)],
    words: [word, 2n ** 64n - 1n, 2n ** 64n - 1n, 2n ** 53n - 1n, 2n ** 64n - 2n ** 40n],
  },
  {
    about: "labels are addresses of rows",
    rows: [
      { call: "write", args: [OUT, { words: [{ label: "self" }, { label: "end" }] }, 16], label: "self" },
      exit(0, "end"),
    ],
    words: [BigInt(TABLE_BASE), BigInt(TABLE_BASE + 64)],
  },
  {
    about: "a descriptor is its number, as an argument and in words",
    rows: [{ call: "write", args: [OUT, { words: [{ fd: "in" }, { fd: "report" }] }, 16] }, exit(0)],
    words: [5n, 3n],
  },
  {
    about: "equal strings are one string, others are not",
    buffers: { b: 32 },
    rows: [
      { call: "write", args: [IN, { words: ["same", "other", "same"] }, 24] },
      give(0),
      { call: "read", args: [IN, { at: "one" }, 8] },
      { call: "read", args: [IN, { at: "two" }, 8] },
      { call: "read", args: [IN, { at: "three" }, 8] },
      { call: "test", args: [{ slot: "one" }, -1, { slot: "three" }], onZero: "good" },
      exit(1),
      { call: "test", args: [{ slot: "one" }, -1, { slot: "two" }], onZero: "bad", label: "good" },
      exit(0),
      exit(2, "bad"),
    ],
  },
  {
    about: "strings end in a NUL and hold every character",
    rows: [{ call: "write", args: [OUT, "aé€😀", 11] }, { call: "write", args: [OUT, "", 1] }, exit(0)],
    text: "aé€😀\0\0",
  },
  {
    about: "words point at strings and at words; bytes are aligned",
    buffers: { b: 8 },
    rows: [
      say("odd"),
      { call: "write", args: [IN, { words: [{ bytes: Buffer.from("z") }] }, 8] },
      give(0),
      { call: "read", args: [IN, { at: "b" }, 8] },
      { call: "test", args: [{ slot: "b" }, 7, 0], onZero: "aligned" },
      exit(1),
      exit(0, "aligned"),
    ],
    text: "odd",
  },
];

const big: readonly Case[] = [
  {
    about: "a table of a thousand rows",
    rows: [
      ...Array.from({ length: 998 }, (_, i): Row => ({ call: "write", args: [OUT, String(i % 10), 1] })),
      { ...BAD },
      exit(0),
    ],
    code: 1,
    text: Array.from({ length: 998 }, (_, i) => i % 10).join(""),
    report: message(FAILED, ERRNO.EBADF, 998),
  },
  {
    about: "data beyond its first room, added in the middle of nested words",
    rows: [
      { call: "write", args: [OUT, { bytes: new Uint8Array(40_000).fill(97) }, 40_000] },
      {
        call: "execve",
        args: [
          "/bin/sh",
          {
            words: [
              "sh",
              "-c",
              'printf "%s\\n" $# "$1" "$2" "$LONG" "$3" | wc -c; echo "$3"',
              "sh",
              "b".repeat(50_000),
              "c".repeat(90_000),
              "last",
              0,
            ],
          },
          { words: [`LONG=${"d".repeat(70_000)}`, 0] },
        ],
      },
    ],
    text: "a".repeat(40_000),
    stdout: `${2 + 50_001 + 90_001 + 70_001 + 5}\nlast\n`,
  },
  {
    about: "buffers hold what the plan put there, beyond the first room as well",
    buffers: {
      a: new Uint8Array(20_000).fill(97),
      b: Buffer.from("b".repeat(30_000)),
      c: Buffer.from("end"),
    },
    rows: [show("a", 20_000), show("b", 30_000), show("c", 4), exit(0)],
    text: `${"a".repeat(20_000)}${"b".repeat(30_000)}end\0`,
  },
  {
    about: "a slot may be 8 bytes of a buffer",
    buffers: { b: bytes64(1n, 0xab_cdef_0000n) },
    rows: [
      { call: "test", args: [{ slot: "b", offset: 10 }, 0xff_ffff, 0xab_cdef], onZero: "good" },
      exit(1),
      exit(0, "good"),
    ],
  },
  {
    about: "large buffers are zeroed and do not overlap",
    buffers: { a: 70_000, b: 70_000 },
    rows: [
      give(1, { store: { at: "a", offset: 69_992 } }),
      give(2, { store: { at: "b" } }),
      { call: "write", args: [OUT, { at: "a", offset: 69_984 }, 16] },
      { call: "write", args: [OUT, { at: "b" }, 16] },
      exit(0),
    ],
    words: [0n, 1n, 2n, 0n],
  },
];

/** Reads from a pipe until it ends; fails when that takes too long. */
function readToEnd(fd: number): Uint8Array {
  const parts: Uint8Array[] = [];
  const poll = words32(fd, POLLIN);
  const timeout = new Uint8Array(16);
  viewOf(timeout).setUint32(0, 20, true);
  for (;;) {
    const ready = check(sys("ppoll", poll, 1, timeout, null), { syscall: "ppoll" });
    if (ready === 0) throw new Error("the report channel stays open");
    const part = new Uint8Array(4096);
    const n = check(tryRead(fd, part), { syscall: "read" });
    if (n === 0) return Buffer.concat(parts);
    parts.push(part.subarray(0, n));
  }
}

for (const arch of ARCHES) {
  describe(`${arch}${arch === native ? "" : " (qemu)"}`, () => {
    for (const each of [...results, ...jumps, ...tests, ...failures, ...data, ...big]) {
      test(each.about, () => {
        const outcome = run(arch, each.rows, {
          ...(each.buffers === undefined ? {} : { buffers: each.buffers }),
          ...(each.input === undefined ? {} : { input: each.input }),
        });
        expect({ code: outcome.code, signal: outcome.signal }).toEqual({
          code: each.code ?? 0,
          signal: undefined,
        });
        expect([...outcome.report]).toEqual([...(each.report ?? [])]);
        if (each.text !== undefined) expect(text(outcome)).toBe(each.text);
        if (each.words !== undefined) expect(outcome.words).toEqual(each.words);
        if (each.stdout !== undefined) expect(outcome.stdout).toBe(each.stdout);
      });
    }

    test("each of the six arguments is loaded from its slot when its bit is set, in all 64 combinations", () => {
      // copy_file_range looks at all six: 64 times one byte, at offsets that the kernel moves on.
      const input = Buffer.from(Array.from({ length: 64 }, (_, i) => i + 32));
      const values: readonly Arg[] = [IN, { at: "from" }, OUT, { at: "to" }, 1, 0];
      const slots = ["a", "b", "c", "d", "e", "f"];
      const prepare: Row[] = [
        { call: "memfd_create", args: ["m", 0], store: "scratch" },
        { call: "write", args: [{ slot: "scratch" }, { words: values }, 48] },
        { call: "lseek", args: [{ slot: "scratch" }, 0, SEEK_SET] },
        ...slots.map((slot): Row => ({ call: "read", args: [{ slot: "scratch" }, { at: slot }, 8] })),
      ];
      const copies = Array.from({ length: 64 }, (_, bits): Row => {
        const args = values.map((value, i): Arg => ((bits >> i) & 1 ? { slot: slots[i] ?? "" } : value));
        return { call: "copy_file_range", args };
      });
      const outcome = run(arch, [...prepare, ...copies, exit(0)], { buffers: { from: 8, to: 8 }, input });
      expect([...outcome.report]).toEqual([]);
      expect(Buffer.from(outcome.out).toString()).toBe(input.toString());
      expect(outcome.code).toBe(0);
    });

    test("executing and end of file mean that execve succeeded, while the program runs", async () => {
      const work = mkdtempSync(join(tmpdir(), "machine-"));
      const pipe = new Uint8Array(8);
      check(sys("pipe2", pipe, 0o2000000), { syscall: "pipe2" });
      const [reader, writer] = [viewOf(pipe).getInt32(0, true), viewOf(pipe).getInt32(4, true)];
      try {
        const { elf } = program(arch, [
          { call: "fcntl", args: [{ fd: "report" }, 2, 1] },
          { call: "write", args: [{ fd: "report" }, { bytes: message(5, 0, 0) }, 12] },
          { call: "execve", args: ["/bin/cat", { words: ["cat", 0] }, { words: [0] }] },
        ]);
        writeFileSync(join(work, "elf"), elf, { mode: 0o755 });
        const child = Bun.spawn(commandFor(arch, join(work, "elf")), {
          stdio: ["pipe", "pipe", "inherit", writer],
        });
        close(writer);
        expect([...readToEnd(reader)]).toEqual([...message(5, 0, 0)]);
        expect(child.exitCode).toBeNull();
        child.stdin.write("still here");
        await child.stdin.end();
        expect(await new Response(child.stdout).text()).toBe("still here");
        expect(await child.exited).toBe(0);
      } finally {
        close(reader);
        rmSync(work, { recursive: true });
      }
    });

    test("a failed execve follows executing with its failure", () => {
      const outcome = run(arch, [
        { call: "write", args: [{ fd: "report" }, { bytes: message(5, 0, 0) }, 12] },
        { call: "execve", args: ["/nonexistent", { words: ["x", 0] }, { words: [0] }] },
      ]);
      expect([...outcome.report]).toEqual([...message(5, 0, 0, FAILED, ERRNO.ENOENT, 1)]);
      expect(outcome.code).toBe(1);
    });
  });
}

test("where a filter refuses exit_group the failed program ends by a trap", () => {
  // qemu has no seccomp; the trap of the other stub is in its source, and its bytes are compared.
  const exitGroup = native === "aarch64" ? 94 : 231;
  const filter = new Uint8Array(32);
  const view = viewOf(filter);
  const instruction = (at: number, code: number, jt: number, jf: number, k: number) => {
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, true);
  };
  instruction(0, 0x20, 0, 0, 0); // load nr
  instruction(8, 0x15, 0, 1, exitGroup);
  instruction(16, 0x06, 0, 0, 0x0005_0001); // EPERM
  instruction(24, 0x06, 0, 0, 0x7fff_0000); // allow
  const outcome = run(native, [
    { call: "prctl", args: [38, 1, 0, 0, 0] },
    { call: "seccomp", args: [1, 0, { words: [4, { bytes: filter }] }] },
    BAD,
    exit(0),
  ]);
  expect([...outcome.report]).toEqual([...message(FAILED, ERRNO.EBADF, 2)]);
  expect(outcome.signal).toBe(native === "aarch64" ? "SIGTRAP" : "SIGILL");
});
