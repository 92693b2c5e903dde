// The lines of ps(1) that are for a container, and names of terminals, from text alone.
import { expect, test } from "bun:test";
import { terminalName } from "../../../src/runtime/process-columns.ts";
import { chooseLines } from "../../../src/runtime/processes.ts";

test("lines are chosen by the column PID, wherever it stands", () => {
  const output = "CMD    PID COMM\nsh 7     1 a\nsh      17 b\n\n";
  expect(chooseLines(output, new Set([17]))).toBe("CMD    PID COMM\nsh      17 b\n");
  expect(chooseLines("  PID\n    1\n   11\n", new Set([1]))).toBe("  PID\n    1\n");
  expect(() => chooseLines("CMD\nsh\n", new Set([1]))).toThrow("couldn't find PID field in ps output");
});

test("terminals have the names that ps gives them", () => {
  expect(terminalName(0)).toBe("?");
  expect(terminalName((136 << 8) | 3)).toBe("pts/3");
  expect(terminalName((137 << 8) | 1)).toBe("pts/257");
  expect(terminalName((4 << 8) | 1)).toBe("tty1");
  expect(terminalName((4 << 8) | 64)).toBe("ttyS0");
  expect(terminalName(0x10_8801)).toBe("pts/257");
});
