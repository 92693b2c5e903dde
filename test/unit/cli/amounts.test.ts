// Sizes, numbers and spans of time in flags, as runc reads them.
import { expect, test } from "bun:test";
import { durationOf, integerOf, sizeOf } from "../../../src/cli/oci/amounts.ts";

test("sizes are powers of 1024, exact, with parts of a byte dropped", () => {
  const read = (text: string) => sizeOf(text, "memory");
  expect(
    ["512", "512b", "512k", "512K", "64MiB", "64mb", "1g", "2 t", "1.5g", "0.0001k", "-1"].map(read),
  ).toEqual([512, 512, 524288, 524288, 67108864, 67108864, 1073741824, 2199023255552, 1610612736, 0, -1]);
  expect(read("9223372036854771712")).toBe(9223372036854771712n);
  expect(read("8191p")).toBe(8191n * 1024n ** 5n);
});

test("what is no size is refused in runc's words", () => {
  for (const text of ["abc", "-5", "5x", "1.g", "", "k", "1e3", "0x10"]) {
    expect(() => sizeOf(text, "memory")).toThrow(`invalid value for memory: invalid size: '${text}'`);
  }
  expect(() => sizeOf("8192p", "memory")).toThrow('invalid value for memory: "8192p": value out of range');
});

test("integers have 64 bits, and a sign only where one makes sense", () => {
  expect(integerOf("-1", "cpu-quota", "signed")).toBe(-1);
  expect(integerOf("18446744073709551615", "cpu-period", "unsigned")).toBe(18446744073709551615n);
  expect(() => integerOf("-1", "cpu-share", "unsigned")).toThrow("invalid value for cpu-share");
  expect(() => integerOf("1.5", "cpu-quota", "signed")).toThrow("invalid value for cpu-quota");
  expect(() => integerOf("18446744073709551616", "cpu-period", "unsigned")).toThrow("value out of range");
  expect(() => integerOf("9223372036854775808", "cpu-quota", "signed")).toThrow("value out of range");
});

test("spans of time are read as Go writes them", () => {
  const read = (text: string) => durationOf(text, "interval");
  expect(["5s", "1m30s", "1.5h", "200ms", "1us", ".5s", "0", "-2s"].map(read)).toEqual([
    5000, 90_000, 5_400_000, 200, 0.001, 500, 0, -2000,
  ]);
  for (const text of ["abc", "5", "", "s", "1 s", "1d"]) {
    expect(() => read(text)).toThrow(`invalid value ${JSON.stringify(text)} for flag -interval: parse error`);
  }
});
