/** The door: results as the kernel gives them, arguments as they are given. Spawning: spawn.test.ts. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../../../src/kernel/constants.ts";
import { ERRNO } from "../../../src/kernel/errno.ts";
import { close, tryRead, withFd, writeAll } from "../../../src/kernel/file.ts";
import { documentMemfd } from "../../../src/kernel/memfd.ts";
import { cString, textOf, viewOf, words, words32 } from "../../../src/kernel/memory.ts";
import { waitPid } from "../../../src/kernel/process.ts";
import {
  addressOf,
  SPAWN_HEADER,
  SPAWN_ROW,
  spawnTable,
  sys,
  syscallNumber,
} from "../../../src/kernel/raw.ts";

describe("sys", () => {
  test("returns what the kernel returns", () => {
    expect(sys("getpid")).toBe(process.pid);
    expect(sys("geteuid")).toBe(process.geteuid?.() ?? -1);
  });

  test("returns -errno", () => {
    expect(sys("close", -1)).toBe(-ERRNO.EBADF);
    expect(sys("openat", AT_FDCWD, cString("/nonexistent/x"), O_RDONLY | O_CLOEXEC)).toBe(-ERRNO.ENOENT);
    expect(sys("read", 0, null, -1, 0, 0, 0)).toBeLessThan(0);
    expect(sys("openat", AT_FDCWD, 8)).toBe(-ERRNO.EFAULT);
  });

  test("passes numbers of 64 bits, negative ones and bigints, and returns large ones", () => {
    withFd(documentMemfd("seek", new Uint8Array(10)), (fd) => {
      expect(sys("lseek", fd, 2 ** 40, 0)).toBe(2 ** 40);
      expect(sys("lseek", fd, 2n ** 52n, 0)).toBe(2 ** 52);
      expect(sys("lseek", fd, -4, 2)).toBe(6);
      expect(sys("lseek", fd, -4n, 2)).toBe(6);
      expect(sys("lseek", fd, -4, 0)).toBe(-ERRNO.EINVAL);
    });
  });

  test("passes all six arguments in their places", () => {
    const from = documentMemfd("from", Buffer.from("abcdefgh"));
    const to = documentMemfd("to", Buffer.from("........"));
    const [offsetFrom, offsetTo] = [words(2), words(1)];
    expect(sys("copy_file_range", from, offsetFrom, to, offsetTo, 3, 0)).toBe(3);
    expect(sys("copy_file_range", from, offsetFrom, to, offsetTo, 3, 1)).toBe(-ERRNO.EINVAL);
    expect([offsetFrom, offsetTo]).toEqual([words(5), words(4)]);
    const bytes = new Uint8Array(8);
    expect(tryRead(to, bytes)).toBe(8);
    expect(textOf(bytes)).toBe(".cde....");
    close(from);
    close(to);
  });

  test("takes part of a buffer, and only that", () => {
    withFd(documentMemfd("part", Buffer.from("abc")), (fd) => {
      const buffer = new Uint8Array(8).fill(46);
      expect(sys("read", fd, buffer.subarray(3, 5), 2)).toBe(2);
      expect(textOf(buffer)).toBe("...ab...");
    });
  });

  test("takes an empty buffer where no byte is meant", () => {
    withFd(documentMemfd("empty", new Uint8Array(0)), (fd) => {
      expect(sys("write", fd, new Uint8Array(0), 0)).toBe(0);
      writeAll(fd, new Uint8Array(0));
    });
    expect(addressOf(new Uint8Array(0))).toBe(0);
  });

  test("gives the same result many times over, so that compiled code does too", () => {
    const results = new Set<number>();
    for (let i = 0; i < 200_000; i++) results.add(sys("close", -1));
    expect([...results]).toEqual([-ERRNO.EBADF]);
  });

  test("the code is in a page that can be executed and not written", () => {
    const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
    const pages = maps.filter((line) => {
      const [from = "0", to = "0"] = (line.split(" ")[0] ?? "").split("-");
      return Number.parseInt(to, 16) - Number.parseInt(from, 16) === 65536 && line.includes(" r-xp ");
    });
    expect(pages.length).toBeGreaterThan(0);
  });
});

describe("spawnTable", () => {
  test("stops at the first row that fails, and leaves its errno and its address", () => {
    const table = new Uint8Array(SPAWN_HEADER + 3 * SPAWN_ROW);
    table.set(words(syscallNumber("getpid")), SPAWN_HEADER);
    table.set(words(syscallNumber("close"), -1), SPAWN_HEADER + SPAWN_ROW);
    table.set(words(syscallNumber("exit_group"), 5), SPAWN_HEADER + 2 * SPAWN_ROW);
    // Taken before the table is looked at: a small array moves when its `buffer` is asked for.
    const first = addressOf(table) + SPAWN_HEADER;
    const pid = spawnTable(table);
    expect(pid).toBeGreaterThan(0);
    expect(waitPid(pid)).toEqual({ code: 127, signal: undefined });
    expect([...table.subarray(0, SPAWN_HEADER)]).toEqual([...words(first + SPAWN_ROW, ERRNO.EBADF)]);
  });

  test("leaves the header alone when no row fails", () => {
    const table = new Uint8Array(SPAWN_HEADER + SPAWN_ROW);
    table.set(words(syscallNumber("exit_group"), 5), SPAWN_HEADER);
    expect(waitPid(spawnTable(table))).toEqual({ code: 5, signal: undefined });
    expect([...table.subarray(0, SPAWN_HEADER)]).toEqual([...words(0, 0)]);
  });
});

describe("memory", () => {
  test("a C string is its bytes and a NUL", () => {
    expect(cString("é")).toEqual(new Uint8Array([0xc3, 0xa9, 0]));
    expect(() => cString("a\0b")).toThrow('a NUL character in "a\\u0000b"');
  });

  test("text of a buffer ends at the first NUL or the length, and comes back", () => {
    expect(textOf(Buffer.from("abc\0def"))).toBe("abc");
    expect(textOf(Buffer.from("abcdef"), 4)).toBe("abcd");
    const texts = fc
      .string({ unit: "binary" })
      .filter((text) => !text.includes("\0") && !text.startsWith("\ufeff"));
    fc.assert(fc.property(texts, (text) => textOf(cString(text)) === text));
  });

  // The decoder takes a byte order mark off.
  test("a name that starts with U+FEFF comes back whole", () => {
    expect(textOf(cString("\ufeffname"))).toBe("\ufeffname");
  });

  test("words are little endian, in two's complement", () => {
    expect(viewOf(words(-1, 2n ** 64n - 2n)).getBigUint64(8, true)).toBe(2n ** 64n - 2n);
    expect(words(-1)).toEqual(new Uint8Array(8).fill(255));
    expect([...words32(1, -1)]).toEqual([1, 0, 0, 0, 255, 255, 255, 255]);
  });
});
