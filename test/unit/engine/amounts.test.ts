// Sizes, CPUs, limits and signals as people type them.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseCount, parseCpus, parseSize } from "../../../src/engine/config/size.ts";
import { parseUlimit, parseUlimits } from "../../../src/engine/config/ulimit.ts";
import { parseSignal } from "../../../src/engine/signal.ts";

test("sizes are powers of 1024, with parts", () => {
  const cases: [string, number][] = [
    ["512", 512],
    ["512k", 524288],
    ["1.5g", 1610612736],
    ["64M", 67108864],
    ["64MiB", 67108864],
    ["64mb", 67108864],
    ["2 g", 2147483648],
    ["0", 0],
  ];
  for (const [text, bytes] of cases) expect(parseSize(text, "--memory")).toBe(bytes);
});

test("what is no size is refused", () => {
  for (const text of ["", "x", "-1", "1x", "1kk", "0x10", "1e3", "1,5g", "99999999p", "1.2.3"]) {
    expect(() => parseSize(text, "--memory")).toThrow("is not a size");
  }
});

test("every number of bytes is read back", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      expect(parseSize(String(bytes), "--memory")).toBe(bytes);
    }),
  );
});

test("CPUs become microseconds in each 100 ms", () => {
  expect([parseCpus("0.5", 4), parseCpus("2", 4), parseCpus(".25", 4), parseCpus("4.00", 4)]).toEqual([
    50000, 200000, 25000, 400000,
  ]);
  for (const text of ["0", "4.01", "-1", "x", "", "1e1"])
    expect(() => parseCpus(text, 4)).toThrow("number of CPUs");
});

test("counts are whole", () => {
  expect([parseCount("-1", "--pids-limit"), parseCount("10", "--pids-limit")]).toEqual([-1, 10]);
  for (const text of ["-2", "1.5", "x", ""]) expect(() => parseCount(text, "--pids-limit")).toThrow();
});

describe("ulimits", () => {
  test("have a soft and a hard value", () => {
    expect(parseUlimit("nofile=1024:2048")).toEqual({ type: "RLIMIT_NOFILE", soft: 1024, hard: 2048 });
    expect(parseUlimit("nproc=7")).toEqual({ type: "RLIMIT_NPROC", soft: 7, hard: 7 });
    expect(parseUlimit("core=0:-1")).toEqual({ type: "RLIMIT_CORE", soft: 0, hard: 18446744073709551615n });
  });

  test("of one resource count once, the last", () => {
    expect(parseUlimits(["core=1", "core=2", "nproc=3"])).toEqual([
      { type: "RLIMIT_CORE", soft: 2, hard: 2 },
      { type: "RLIMIT_NPROC", soft: 3, hard: 3 },
    ]);
  });

  test("that are none are refused", () => {
    expect(() => parseUlimit("nofile=2:1")).toThrow("soft limit is above the hard one");
    for (const text of ["nofile", "files=1", "nofile=1:", "nofile=-2", "nofile=99999999999999999999"]) {
      expect(() => parseUlimit(text)).toThrow();
    }
  });
});

test("signals have names and numbers", () => {
  expect(
    ["TERM", "sigterm", "15", "KILL", "RTMIN+3", "rtmax-1"].map((text) => parseSignal(text, "-s")),
  ).toEqual([15, 15, 15, 9, 37, 63]);
  for (const text of ["0", "65", "NOPE", "", "RTMIN-1", "RTMAX+1", "toString"]) {
    expect(() => parseSignal(text, "-s")).toThrow("is not a signal");
  }
});
