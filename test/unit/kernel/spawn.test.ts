/** spawn(): what a child gets, and that it gets nothing else. Looked at from a process of its own (spawner.ts). */
import { describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Observed } from "./spawner.ts";

const NOTHING = "0".repeat(16);

/** Runs one observation, with the files `zero`, `one`, `two` at 0, 1, 2 and `extra` ones behind them. */
function observe<Name extends keyof Observed>(name: Name, extra: readonly string[] = []): Observed[Name] {
  const work = mkdtempSync(join(tmpdir(), "spawn-"));
  const [zero = -1, one = -1, two = -1, ...more] = ["zero", "one", "two", ...extra].map((file) =>
    openSync(join(work, file), "w+"),
  );
  try {
    const child = Bun.spawnSync(
      [process.execPath, join(import.meta.dir, "spawner.ts"), name, join(work, "answer")],
      { stdio: [zero, one, two, ...more], timeout: 30_000 },
    );
    if (child.exitCode !== 0) throw new Error(readFileSync(join(work, "two"), "utf8"));
    return JSON.parse(readFileSync(join(work, "answer"), "utf8"));
  } finally {
    for (const fd of [zero, one, two, ...more]) closeSync(fd);
    rmSync(work, { recursive: true });
  }
}

describe("standard input, output and error", () => {
  const names: Readonly<Record<string, string>> = { 0: "zero", 1: "one", 2: "two", above: "zero" };

  test("come from the descriptors that were named, in every order; the parent's own stay", () => {
    const { seen, own } = observe("stdio");
    expect(Object.keys(seen)).toHaveLength(64);
    for (const [triple, files] of Object.entries(seen)) {
      const expected = triple.split(",").map((fd) => names[fd]);
      expect([triple, ...files]).toEqual([triple, ...expected, "3"]);
    }
    expect(own).toEqual(["zero", "one", "two"]);
  });
});

describe("descriptors", () => {
  test("that are named are inherited under their numbers, and no other is; the parent's stay close-on-exec", () => {
    const { child, full, high, flags } = observe("inherit");
    expect(child.files).toEqual({ 0: "zero", 1: "one", 2: "full", [full]: "full", [high]: "zero" });
    expect(flags).toEqual([1, 1, 1, 1]);
  });

  // Bun sets close-on-exec from 4 up, and spawn does nothing about 3.
  test("that the parent inherited without close-on-exec do not get through", () => {
    const { child, full, high } = observe("inherit", ["three", "four", "five"]);
    expect(child.files).toEqual({ 0: "zero", 1: "one", 2: "full", [full]: "full", [high]: "zero" });
  });
});

describe("signals", () => {
  test("are all at their default and none is blocked, whatever the parent ignores and blocks", () => {
    const { child, ignored, before, after } = observe("signals");
    expect(BigInt(`0x${ignored}`) & 0x1000n).toBe(0x1000n);
    expect(before).toBe("0000000000004a01");
    expect([child.ignored, child.blocked, child.caught, child.pending]).toEqual([
      NOTHING,
      NOTHING,
      NOTHING,
      NOTHING,
    ]);
    expect(after).toBe(before);
  });
});

test("arguments and environment arrive as they are, and the program is the memfd", () => {
  const child = observe("words");
  expect(child.argv).toEqual(["first", "", "third é"]);
  expect(child.env).toEqual(["A=1", "B="]);
  expect(child.exe).toBe("/memfd:sleeper (deleted)");
});

test("a program that cannot be executed is an error with the errno, and leaves no child and no descriptor", () => {
  const { failures, mask } = observe("failure");
  const left = { syscall: "execveat", code: "SYSCALL", child: -10, descriptors: 0 };
  expect(failures).toEqual({
    notAProgram: { errno: "ENOEXEC", ...left },
    notExecutable: { errno: "EACCES", ...left },
    closed: { errno: "EBADF", ...left },
    document: { errno: "ENOEXEC", ...left },
  });
  expect(mask).toBe("0000000000000200");
});

test("a hundred children in a row get their own arguments, with the garbage collector at work", () => {
  expect(observe("many")).toEqual(["right"]);
});
