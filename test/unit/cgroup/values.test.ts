/** Conversions of limits between the versions. */
import { describe, expect, test } from "bun:test";
import { sizeOf } from "../../../drivers/cgroup-common/hugepages.ts";
import { counter, UNLIMITED } from "../../../drivers/cgroup-common/read.ts";
import { blkioToIoWeight, sharesToWeight, swapAlone } from "../../../drivers/cgroup-common/values.ts";
import { listNumbers } from "../../../drivers/cgroup-v1/cpuset.ts";

describe("shares to weight", () => {
  for (const [shares, weight] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [10, 4],
    [100, 17],
    [500, 58],
    [1000, 99],
    [1024, 100],
    [2048, 174],
    [10000, 627],
    [262143, 10000],
    [262144, 10000],
    [500000, 10000],
  ] as const) {
    test(`${shares} is ${weight}`, () => expect(sharesToWeight(shares)).toBe(weight));
  }
});

test("weights of block devices are stretched linearly", () => {
  expect([10, 100, 500, 1000].map(blkioToIoWeight)).toEqual([1, 910, 4950, 10000]);
});

describe("swap alone", () => {
  test("is memory and swap without memory", () => {
    expect(swapAlone(1000, 3000)).toBe("2000");
    expect(swapAlone(1000, 1000)).toBe("0");
    expect(swapAlone(9007199254740993n, 9007199254740995n)).toBe("2");
  });
  test("is left alone where it is not asked for", () => {
    expect(swapAlone(undefined, undefined)).toBeUndefined();
    expect(swapAlone(1000, undefined)).toBeUndefined();
    expect(swapAlone(1000, 0)).toBeUndefined();
  });
  test("has no limit where it or memory has none", () => {
    expect(swapAlone(1000, -1)).toBe("max");
    expect(swapAlone(-1, undefined)).toBe("max");
    expect(swapAlone(-1, 5000)).toBe("5000");
  });
  test("is refused where it makes no sense", () => {
    expect(() => swapAlone(undefined, 1000)).toThrow("cannot be set without memory.limit");
    expect(() => swapAlone(2000, 1000)).toThrow("less than memory.limit");
  });
});

test("counters stay exact above 2^53", () => {
  expect(counter("9223372036854771712\n")).toBe(9223372036854771712n);
  expect(counter("max")).toBe(UNLIMITED);
  expect(counter("12")).toBe(12);
  expect(counter(undefined)).toBe(0);
});

test("sizes of huge pages are spelt as the controller does", () => {
  expect(["hugepages-64kB", "hugepages-2048kB", "hugepages-1048576kB", "other"].flatMap(sizeOf)).toEqual([
    "64KB",
    "2MB",
    "1GB",
  ]);
});

test("lists of CPUs are read", () => {
  expect(listNumbers("0-2,5,7-8\n")).toEqual([0, 1, 2, 5, 7, 8]);
  expect(listNumbers("\n")).toEqual([]);
});
