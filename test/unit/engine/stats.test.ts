// What `stats` makes of the kernel's counters.

import { expect, test } from "bun:test";
import { humanBytes, humanSize } from "../../../src/cli/human.ts";
import { cpuPercent, networkUsage, usageOf } from "../../../src/engine/stats.ts";

const TOTAL = 1024 ** 3;

test("CPU is of one CPU, between two counts", () => {
  expect(cpuPercent({ at: 1000, cpu: 5e8 }, { at: 1500, cpu: 10e8 })).toBe(100);
  expect(cpuPercent({ at: 1000, cpu: 0 }, { at: 2000, cpu: 2e9 })).toBe(200);
  expect(cpuPercent({ at: 1000, cpu: 0 }, { at: 1500, cpu: 1e6 })).toBe(0.2);
});

test("CPU is nothing for what was not counted twice, and never negative", () => {
  expect(cpuPercent(undefined, { at: 1, cpu: 1 })).toBe(0);
  expect(cpuPercent({ at: 1, cpu: 1 }, undefined)).toBe(0);
  expect(cpuPercent({ at: 1, cpu: 1 }, { at: 1, cpu: 2 })).toBe(0);
  expect(cpuPercent({ at: 1, cpu: 9 }, { at: 2, cpu: 0 })).toBe(0);
});

test("memory is without files that are not in use: of v1, those of the cgroups below too", () => {
  const memory = (raw: object) =>
    usageOf({ memory: { usage: { usage: 1000, limit: 5000 }, raw } }, TOTAL).memory;
  expect(memory({ inactive_file: 300 })).toBe(700);
  expect(memory({ inactive_file: 300, total_inactive_file: 400 })).toBe(600);
  expect(memory({ inactive_file: 300, total_inactive_file: 0 })).toBe(700);
  expect(memory({ inactive_file: 1001 })).toBe(1000);
  expect(memory({})).toBe(1000);
});

test("no limit on memory, or one above what there is, is the host's memory", () => {
  const limit = (value: number | bigint) =>
    usageOf({ memory: { usage: { limit: value } } }, TOTAL).memoryLimit;
  expect(limit(4096)).toBe(4096);
  expect(limit(9223372036854771712n)).toBe(TOTAL);
  expect(limit(18446744073709551615n)).toBe(TOTAL);
  expect(limit(0)).toBe(TOTAL);
});

test("what disks did is summed by direction", () => {
  const ioServiceBytesRecursive = [
    { major: 8, minor: 0, op: "Read", value: 100 },
    { major: 8, minor: 16, op: "Read", value: 20n },
    { major: 8, minor: 0, op: "Write", value: 7 },
    { major: 8, minor: 0, op: "Sync", value: 99 },
    { major: 8, minor: 0, op: "Total", value: 127 },
  ];
  expect(usageOf({ blkio: { ioServiceBytesRecursive } }, TOTAL)).toMatchObject({ read: 120, written: 7 });
});

test("what no controller counts is nothing", () => {
  expect(usageOf({}, TOTAL)).toEqual({ cpu: 0, memory: 0, memoryLimit: TOTAL, read: 0, written: 0, pids: 0 });
});

test("the network is all devices but loopback", () => {
  const text = [
    "Inter-|   Receive                                                |  Transmit",
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls",
    "    lo:     999       9    0    0    0     0          0         0      999       9    0    0    0     0",
    "  eth0:    1000       9    0    0    0     0          0         0       50       9    0    0    0     0",
    "  eth1:10       1    0    0    0     0          0         0       5       1    0    0    0     0",
    "",
  ].join("\n");
  expect(networkUsage(text)).toEqual({ received: 1010, sent: 55 });
  expect(networkUsage("")).toEqual({ received: 0, sent: 0 });
});

test("sizes have Docker's units", () => {
  expect([0, 1023, 1024, 1536, 71.34 * 1024 ** 2].map(humanBytes)).toEqual([
    "0B",
    "1023B",
    "1KiB",
    "1.5KiB",
    "71.34MiB",
  ]);
  expect([656, 1500, 2_130_000].map(humanSize)).toEqual(["656B", "1.5kB", "2.13MB"]);
});
