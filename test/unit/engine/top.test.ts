// Which columns the words behind `top CONTAINER` ask for, and whose numbers and names are in them.

import { describe, expect, test } from "bun:test";
import { wantedColumns } from "../../../src/engine/top.ts";
import { elapsed, type Names, namesOf, PODMAN_COLUMNS } from "../../../src/runtime/process-columns.ts";
import { processInfo, uptime } from "../../../src/runtime/process-info.ts";
import { processCells } from "../../../src/runtime/process-table.ts";

const headings = (...words: string[]): string | { options: readonly string[] } => {
  const wanted = wantedColumns(words);
  if ("options" in wanted) return wanted;
  return `${wanted.columns.map(({ heading }) => heading).join(" ")}${wanted.inside ? ", inside" : ""}`;
};

const FULL = "UID PID PPID C STIME TTY TIME CMD";

describe("words", () => {
  test.each<readonly [string[], string]>([
    [[], FULL],
    [["-ef"], FULL],
    [["-eo", "pid,user,args"], "PID USER COMMAND"],
    [["-eopid,comm"], "PID COMMAND"],
    [["-e", "-o", "pid", "-o", "ppid,%cpu"], "PID PPID %CPU"],
    [["-o", "pid"], "PID"],
    [["-A", "-o", "cmd"], "CMD"],
    [["pid", "user", "args"], "PID USER COMMAND, inside"],
    [["pid,hpid,huser"], "PID HPID HUSER, inside"],
    [["capeff", "seccomp", "label"], "EFFECTIVE CAPS SECCOMP LABEL, inside"],
  ])("%j mean columns", (words, expected) => {
    expect(headings(...words)).toBe(expected);
  });

  test.each<string[][]>([
    [["aux"]],
    [["-eo", "pid,wchan"]],
    [["-eo"]],
    [["-ef", "--sort", "pid"]],
    [["-o", "pid=X"]],
  ])("%j are for ps(1)", (words) => {
    expect(headings(...words)).toEqual({ options: words });
  });

  test("that are columns but for one are an error that lists those there are", () => {
    for (const words of [["pid", "foo"], ["pid,foo"], ["foo", "bar"], ["pid", "toString"]]) {
      expect(() => wantedColumns(words)).toThrow(/there is no column "(foo|toString)"/);
    }
    expect(() => wantedColumns(["pid", "foo"])).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("args, capamb") }),
    );
  });
});

test("every column of Podman's has a cell for a real process", () => {
  const cells = processCells([process.pid], Object.values(PODMAN_COLUMNS), {
    passwd: "someone:x:0:0::/:/bin/sh\n",
    group: "people:x:0:\n",
  });
  expect(cells).toHaveLength(1);
  expect(cells[0]).not.toContain("");
  expect(processCells([2 ** 22 + 1], Object.values(PODMAN_COLUMNS))).toEqual([]);
});

test("names are those of the container, and behind an h those of the host", () => {
  const self = processInfo(process.pid, uptime());
  if (self === undefined) throw new Error("no process of this test's own");
  const id = String(process.geteuid?.());
  const names: Names = {
    users: namesOf(`inside:x:${id}:0\nlater:x:${id}:0\n`),
    groups: new Map(),
    hostUsers: namesOf(`outside:x:${id}:0\n`),
    hostGroups: new Map(),
    inside: new Map(),
  };
  const { user, huser, ppid, hpid } = PODMAN_COLUMNS;
  expect([user, huser, ppid, hpid].map((column) => column?.cell(self, names))).toEqual([
    "inside",
    "outside",
    "0",
    String(process.pid),
  ]);
  expect(user?.cell(self, { ...names, users: new Map() })).toBe(id);
});

test("what a program calls itself is never obeyed by a terminal", () => {
  const self = processInfo(process.pid, uptime());
  if (self === undefined) throw new Error("no process of this test's own");
  const names: Names = {
    ...{
      users: new Map(),
      groups: new Map(),
      hostUsers: new Map(),
      hostGroups: new Map(),
      inside: new Map(),
    },
  };
  const cells = (name: string, command: string) =>
    [PODMAN_COLUMNS.comm, PODMAN_COLUMNS.args].map((column) =>
      column?.cell({ ...self, name, command }, names),
    );
  expect(cells("a\x1b[2J", "b\x1b]0;x\x07 c\u009b")).toEqual(["a?[2J", "b?]0;x? c?"]);
  expect(cells("a\x1b[2J", "")).toEqual(["a?[2J", "[a?[2J]"]);
});

test("ages are as ps has them", () => {
  expect([7, 3599, 3600, 90061].map(elapsed)).toEqual(["00:07", "59:59", "01:00:00", "01-01:01:01"]);
});
