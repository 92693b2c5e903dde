/**
 * Device programs in a cgroup2 tree (this host's, hybrid or not): loaded, attached and asked by this kernel.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmdirSync } from "node:fs";
import { devicePolicy } from "../../drivers/cgroup-common/devices.ts";
import { attachDevices, attachedPrograms, deviceProgram } from "../../drivers/cgroup-v2/devices.ts";
import { disassembleBpf } from "../../drivers/cgroup-v2/disassemble.ts";
import {
  attachDeviceProgram,
  detachProgram,
  deviceProgramIds,
  loadDeviceProgram,
  programInfo,
} from "../../src/kernel/bpf.ts";
import { assembleBpf } from "../../src/kernel/bpf-code.ts";
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

  test("of somebody else's stays, and has its say", async () => {
    hold([{ allow: true }]);
    const theirs = loadDeviceProgram(
      assembleBpf([{ op: "mov32", register: 0, immediate: 0 }, { op: "exit" }]),
      "theirs",
    );
    withFd(open(directory, O_RDONLY | O_DIRECTORY), (cgroup) => {
      try {
        attachDeviceProgram(cgroup, theirs);
        hold([{ allow: false }]);
        hold([{ allow: false }, { allow: true, type: "c", major: 1, minor: 11 }]);
        expect(programs()).toHaveLength(2);
        hold([{ allow: true }]);
        expect(programs()).toHaveLength(1);
      } finally {
        detachProgram(cgroup, theirs);
        close(theirs);
      }
    });
    expect(programs()).toEqual([]);
  });

  test("is shown as it is attached, which is as it was assembled", () => {
    const rules: LinuxDeviceCgroup[] = [
      { allow: false },
      { allow: true, type: "b", major: 8, access: "r" },
      { allow: true, type: "c", major: 4095, minor: 1048575, access: "rw" },
    ];
    hold(rules);
    const [id] = programs();
    const assembled = assembleBpf(deviceProgram(devicePolicy(rules)));
    expect(programInfo(id ?? 0)?.code).toEqual(assembled);
    const [head, ...lines] = attachedPrograms(directory);
    expect(head).toMatch(`eBPF program ${id} ctr_device, tag`);
    expect(lines.slice(0, disassembleBpf(assembled).length)).toEqual(disassembleBpf(assembled));
  });

  test("is never gone and never another while it is replaced", async () => {
    const rule = (minor: number): LinuxDeviceCgroup[] => [
      { allow: false },
      { allow: true, type: "b", major: 4000, minor },
    ];
    hold(rule(0));
    // Opens what is always denied and what is always allowed, until its input ends; then says how it went.
    const hammer = `
      const { openSync, closeSync, readSync, fstatSync } = require("node:fs");
      const counts = { opened: 0, denied: 0, allowed: 0, refused: 0 };
      const go = (path, good, bad) => { try { closeSync(openSync(path, "r")); counts[good]++; } catch { counts[bad]++; } };
      const until = Date.now() + 20_000;
      process.stdin.on("end", () => { console.log(JSON.stringify(counts)); process.exit(0); });
      process.stdin.resume();
      console.log("begun");
      const round = () => {
        for (let at = 0; at < 200; at++) { go("/dev/kmsg", "opened", "denied"); go("/dev/zero", "allowed", "refused"); }
        if (Date.now() < until) setImmediate(round);
      };
      round();`;
    const script = `echo 0 > ${directory}/cgroup.procs && exec "$0" -e "$1"`;
    const child = Bun.spawn(["sh", "-c", script, process.execPath, hammer], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const reader = child.stdout.getReader();
    let said = "";
    while (!said.includes("begun")) said += new TextDecoder().decode((await reader.read()).value);
    for (let update = 1; update <= 300; update++) {
      hold(rule(update));
      if (update % 10 === 0) await Bun.sleep(1);
    }
    child.stdin.end();
    for (let part = await reader.read(); !part.done; part = await reader.read())
      said += new TextDecoder().decode(part.value);
    await child.exited;
    const counts = JSON.parse(said.slice(said.indexOf("{")));
    expect(counts).toMatchObject({ opened: 0, refused: 0 });
    expect(Math.min(counts.denied, counts.allowed)).toBeGreaterThan(0);
    expect(programs()).toHaveLength(1);
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
