// What people and programs read when something fails.

import { expect, test } from "bun:test";
import { errorReport, warningReport } from "../../../src/cli/report.ts";
import { fail } from "../../../src/error.ts";

const error = fail({
  code: "NOT_FOUND",
  field: "--volume",
  message: "cannot mount /x at /y",
  syscall: "open",
  path: "/x",
  errno: "ENOENT",
  hint: "make it first",
});

test("a person reads one line and the hint below it", () => {
  expect(errorReport(error, { format: "text", color: false })).toBe(
    "ctr-bun: --volume: cannot mount /x at /y (open /x: ENOENT)\n  make it first\n",
  );
});

test("a program reads all fields", () => {
  const { time, ...fields } = JSON.parse(errorReport(error, { format: "json", color: false }));
  expect(Number.isNaN(Date.parse(time))).toBe(false);
  expect(fields).toEqual({
    level: "error",
    code: "NOT_FOUND",
    field: "--volume",
    message: "cannot mount /x at /y",
    syscall: "open",
    path: "/x",
    errno: "ENOENT",
    hint: "make it first",
  });
});

test("line breaks and escape sequences from outside do not reach the terminal", () => {
  const hostile = fail({ code: "REGISTRY", message: "said \u001b[2J\nctr-bun: all is well" });
  expect(errorReport(hostile, { format: "text", color: false })).toBe(
    "ctr-bun: said  [2J ctr-bun: all is well\n",
  );
  expect(warningReport("a\nb", { format: "text", color: false })).toBe("ctr-bun: warning: a b\n");
});
