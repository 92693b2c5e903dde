/** What a list of device rules comes to: as lines for v1, and as a program for v2, which is run here. */
import { describe, expect, test } from "bun:test";
import { ALL_ACCESS, devicePolicy } from "../../../drivers/cgroup-common/devices.ts";
import { deviceLines } from "../../../drivers/cgroup-v1/devices.ts";
import { deviceProgram } from "../../../drivers/cgroup-v2/devices.ts";
import { assembleBpf } from "../../../src/kernel/bpf-code.ts";
import type { LinuxDeviceCgroup } from "../../../src/spec/runtime/resources.ts";
import { runDeviceProgram } from "./bpf.ts";

const [MKNOD, READ, WRITE] = [1, 2, 4];
const DENY_ALL: LinuxDeviceCgroup = { allow: false, access: "rwm" };

function asks(rules: LinuxDeviceCgroup[] | undefined): (name: string, access: number) => boolean {
  const code = assembleBpf(deviceProgram(devicePolicy(rules)));
  return (name, access) => {
    const [type, major, minor] = name.split(/[ :]/);
    const device = { type: type === "b" ? 1 : 2, major: Number(major), minor: Number(minor) };
    return runDeviceProgram(code, device, access) === 1;
  };
}

describe("the device program", () => {
  test("allows what every container needs, and mknod of anything, and nothing else", () => {
    for (const rules of [undefined, [], [DENY_ALL]]) {
      const allowed = asks(rules);
      for (const name of [
        "c 1:3",
        "c 1:5",
        "c 1:7",
        "c 1:8",
        "c 1:9",
        "c 5:0",
        "c 5:2",
        "c 136:0",
        "c 136:77",
      ]) {
        expect(allowed(name, ALL_ACCESS)).toBe(true);
        expect(allowed(name, READ)).toBe(true);
      }
      expect(allowed("b 8:0", MKNOD)).toBe(true);
      expect(allowed("c 1:11", MKNOD)).toBe(true);
      expect(allowed("b 8:0", READ)).toBe(false);
      expect(allowed("c 1:11", READ)).toBe(false);
      expect(allowed("c 1:11", READ | MKNOD)).toBe(false);
      expect(allowed("b 1:3", READ)).toBe(false);
    }
  });

  test("gives a device the kinds of access that rules allow, together and one by one", () => {
    const allowed = asks([
      DENY_ALL,
      { allow: true, type: "b", major: 8, minor: 0, access: "r" },
      { allow: true, type: "b", major: 8, access: "w" },
    ]);
    expect(allowed("b 8:0", READ)).toBe(true);
    expect(allowed("b 8:0", READ | WRITE)).toBe(true);
    expect(allowed("b 8:1", WRITE)).toBe(true);
    expect(allowed("b 8:1", READ)).toBe(false);
    expect(allowed("b 8:1", READ | WRITE)).toBe(false);
    expect(allowed("c 8:0", READ)).toBe(false);
  });

  test("lets a later rule win over an earlier one", () => {
    const allowed = asks([
      { allow: true },
      { allow: false, type: "c", major: 10 },
      { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
      { allow: false, type: "c", major: 10, minor: 229, access: "w" },
    ]);
    expect(allowed("c 10:1", READ)).toBe(false);
    expect(allowed("c 10:229", READ)).toBe(true);
    expect(allowed("c 10:229", WRITE)).toBe(false);
    expect(allowed("c 10:229", READ | WRITE)).toBe(false);
    expect(allowed("c 11:1", READ)).toBe(true);
  });

  test("takes both where all of a major and all of a minor meet", () => {
    const allowed = asks([
      DENY_ALL,
      { allow: true, type: "b", major: 8, access: "r" },
      { allow: true, type: "b", minor: 3, access: "w" },
      { allow: false, type: "b", major: 9, access: "w" },
    ]);
    expect(allowed("b 8:3", READ | WRITE)).toBe(true);
    expect(allowed("b 8:2", WRITE)).toBe(false);
    expect(allowed("b 7:3", WRITE)).toBe(true);
    expect(allowed("b 9:3", WRITE)).toBe(false);
  });

  test("compares numbers without a sign", () => {
    const allowed = asks([
      DENY_ALL,
      { allow: true, type: "c", major: 4294967295, minor: 2147483648, access: "rw" },
    ]);
    expect(allowed("c 4294967295:2147483648", READ)).toBe(true);
    expect(allowed("c 4294967295:2147483647", READ)).toBe(false);
    expect(() => asks([{ allow: true, type: "c", major: 4294967296 }])).toThrow("is no device number");
  });

  test("is not there where everything is allowed", () => {
    expect(devicePolicy([{ allow: true, access: "rwm" }])).toEqual({ allowAll: true, rules: [] });
    expect(devicePolicy([DENY_ALL, { allow: true }])).toEqual({ allowAll: true, rules: [] });
  });
});

describe("the lines for v1", () => {
  test("deny all, then allow the defaults and what is asked for, each device once", () => {
    const { deny, allow } = deviceLines([
      DENY_ALL,
      { allow: true, type: "c", major: 10, minor: 229, access: "r" },
      { allow: true, type: "c", major: 10, minor: 229, access: "w" },
      { allow: true, type: "b", major: 7, access: "rwm" },
      { allow: false, type: "b", major: 7, access: "m" },
    ]);
    expect(deny).toEqual(["a"]);
    expect(allow.slice(0, 2)).toEqual(["c 10:229 rw", "b 7:* rw"]);
    expect(allow).toContain("c *:* m");
    expect(allow).toContain("c 1:3 rwm");
    expect(allow.filter((line) => line.startsWith("c 10:229"))).toHaveLength(1);
  });

  test("are a table for the defaults, which is what they come to", () => {
    const long = deviceLines([DENY_ALL, { allow: false, type: "c", major: 77, minor: 7 }]);
    for (const rules of [undefined, [], [DENY_ALL], [{ allow: true }, DENY_ALL]]) {
      expect(deviceLines(rules)).toEqual(long);
    }
  });

  test("are none where everything is allowed", () => {
    expect(deviceLines([{ allow: true, access: "rwm" }])).toEqual({ deny: [], allow: [] });
  });

  test("deny only what is denied where the rest is allowed", () => {
    expect(deviceLines([{ allow: true }, { allow: false, type: "b", major: 8, access: "w" }])).toEqual({
      deny: ["b 8:* w"],
      allow: [],
    });
  });

  test("refuse a hole in a range, which the kernel would not make", () => {
    const rules: LinuxDeviceCgroup[] = [
      DENY_ALL,
      { allow: true, type: "b", major: 8, access: "rw" },
      { allow: false, type: "b", major: 8, minor: 1, access: "w" },
    ];
    expect(() => deviceLines(rules)).toThrow("deny b 8:1 w is a hole in b 8:*");
  });
});
