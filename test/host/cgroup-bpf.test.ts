/**
 * Device programs in a cgroup2 tree (this host's, hybrid or not): loaded, attached and asked by this kernel.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmdirSync } from "node:fs";
import { devicePolicy } from "../../drivers/cgroup-common/devices.ts";
import { attachDevices } from "../../drivers/cgroup-v2/devices.ts";
import {
  assembleBpf,
  attachDeviceProgram,
  deviceProgramIds,
  loadDeviceProgram,
} from "../../src/kernel/bpf.ts";
import { O_DIRECTORY, O_RDONLY } from "../../src/kernel/constants.ts";
import { close, open, withFd } from "../../src/kernel/file.ts";
import { probeCgroups } from "../../src/runtime/host-cgroup.ts";
import type { LinuxDeviceCgroup } from "../../src/spec/runtime/resources.ts";

const { unified } = probeCgroups();
const directory = `${unified}/ctr-bun-bpf-${process.pid}`;
const runs = process.getuid?.() === 0 && unified !== undefined;

function hold(rules: LinuxDeviceCgroup[]): void {
  attachDevices({ directory, policy: devicePolicy(rules) });
}

/** Runs a shell inside, and gives its exit code. */
async function inside(command: string): Promise<number> {
  const script = `echo 0 > ${directory}/cgroup.procs && ${command}`;
  return Bun.spawn(["sh", "-c", script], { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited;
}

function programs(): number[] {
  return withFd(open(directory, O_RDONLY | O_DIRECTORY), deviceProgramIds);
}

describe.skipIf(!runs)("a device program", () => {
  beforeAll(() => mkdirSync(directory));
  afterAll(() => rmdirSync(directory));

  test("is needed for nothing when everything is allowed", async () => {
    hold([{ allow: true }]);
    expect(programs()).toEqual([]);
    expect(await inside("head -c 1 /dev/kmsg; : < /dev/null")).toBe(0);
  });

  test("allows the defaults and denies the rest", async () => {
    hold([{ allow: false }]);
    expect(programs()).toHaveLength(1);
    expect(await inside(": < /dev/null && : > /dev/null && : < /dev/urandom")).toBe(0);
    expect(await inside(": < /dev/kmsg")).not.toBe(0);
  });

  test("is replaced as a whole: one kind of access of one device", async () => {
    const before = programs();
    hold([{ allow: false }, { allow: true, type: "c", major: 1, minor: 11, access: "r" }]);
    expect(programs()).toHaveLength(1);
    expect(programs()).not.toEqual(before);
    expect(await inside(": < /dev/kmsg")).toBe(0);
    expect(await inside(": > /dev/kmsg")).not.toBe(0);
  });

  test("really denies /dev/null when the policy does", async () => {
    const rules = [{ type: "c", major: 1, minor: 3, access: 7, allow: false } as const];
    attachDevices({ directory, policy: { allowAll: true, rules } });
    expect(await inside(": < /dev/null")).not.toBe(0);
    expect(await inside(": < /dev/zero")).toBe(0);
  });

  test("takes the place of one that somebody else attached", async () => {
    hold([{ allow: true }]);
    const cgroup = open(directory, O_RDONLY | O_DIRECTORY);
    const program = loadDeviceProgram(
      assembleBpf([{ op: "mov32", register: 0, immediate: 0 }, { op: "exit" }]),
    );
    attachDeviceProgram(cgroup, program);
    close(program);
    close(cgroup);
    expect(await inside(": < /dev/null")).not.toBe(0);
    hold([{ allow: false }]);
    expect(await inside(": < /dev/null")).toBe(0);
  });

  test("with thousands of rules is still taken", async () => {
    const many = Array.from({ length: 3000 }, (_none, minor) => ({
      allow: minor % 2 === 0,
      type: "b" as const,
      major: 300,
      minor,
      access: "rw",
    }));
    hold([{ allow: false }, ...many, { allow: true, type: "c", major: 1, minor: 11, access: "rw" }]);
    expect(await inside(": < /dev/kmsg")).toBe(0);
  });

  test("that the verifier refuses is an error with its words", () => {
    expect(() => loadDeviceProgram(assembleBpf([{ op: "exit" }]))).toThrow("refused the eBPF program");
    try {
      loadDeviceProgram(assembleBpf([{ op: "exit" }]));
    } catch (error) {
      expect((error as { hint?: string }).hint).toContain("R0");
    }
  });
});
