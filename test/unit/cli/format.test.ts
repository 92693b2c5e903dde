// Output for people and for scripts: tables, --format, times and sizes.

import { describe, expect, test } from "bun:test";
import { formatAll } from "../../../src/cli/format.ts";
import { humanAge, humanDuration, humanSize } from "../../../src/cli/human.ts";
import { table } from "../../../src/cli/table.ts";

const rows = [
  { ID: "a1", Labels: { x: "1" }, State: { Pid: 7 } },
  { ID: "b2", Labels: {}, State: { Pid: 0 } },
];

describe("--format", () => {
  test("json gives one document a line", () => {
    expect(formatAll([{ a: 1 }, { a: 2 }], "json", "ps")).toBe('{"a":1}\n{"a":2}\n');
  });

  test("templates give fields, nested ones, JSON and map entries", () => {
    expect(formatAll(rows, "{{.ID}}\\t{{ .State.Pid }}", "ps")).toBe("a1\t7\nb2\t0\n");
    expect(formatAll(rows, "{{json .Labels}}", "ps")).toBe('{"x":"1"}\n{}\n');
    expect(formatAll(rows, '{{index .Labels "x"}}!', "ps")).toBe("1!\n!\n");
    expect(formatAll([{ a: 1 }], "{{json .}}", "ps")).toBe('{"a":1}\n');
  });

  test("table puts a heading above", () => {
    expect(formatAll(rows, "table {{.ID}}\\t{{.State.Pid}}", "ps")).toBe("ID   STATE.PID\na1   7\nb2   0\n");
  });

  test("a field that is not there is refused with those that are", () => {
    expect(() => formatAll(rows, "{{.Nmae}}", "ps")).toThrow("there is no field .Nmae");
    expect(() => formatAll(rows, "{{.ID.constructor}}", "ps")).toThrow("no field");
    expect(() => formatAll(rows, "{{range .}}", "ps")).toThrow("not understood");
  });
});

test("tables are padded, without blanks at the ends of lines", () => {
  expect(
    table(
      ["A", "LONG"],
      [
        ["xyz", "1"],
        ["", ""],
      ],
    ),
  ).toBe("A     LONG\nxyz   1\n\n");
});

test("times are put as Docker puts them", () => {
  const cases: [number, string][] = [
    [0.2, "Less than a second"],
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "About a minute"],
    [150, "2 minutes"],
    [3600, "About an hour"],
    [7 * 3600, "7 hours"],
    [3 * 86400, "3 days"],
    [20 * 86400, "2 weeks"],
    [90 * 86400, "3 months"],
    [800 * 86400, "2 years"],
  ];
  for (const [seconds, words] of cases) expect(humanDuration(seconds * 1000)).toBe(words);
  expect(humanAge(undefined, 0)).toBe("N/A");
});

test("sizes have three digits and powers of 1000", () => {
  expect([0, 999, 1000, 74_800_000, 1.5e9].map(humanSize)).toEqual(["0B", "999B", "1kB", "74.8MB", "1.5GB"]);
});
