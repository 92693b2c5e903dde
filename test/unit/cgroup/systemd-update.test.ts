/** An update of a unit against a systemd that writes all files anew, as the real one: what they hold afterwards. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { changeWith } from "../../../drivers/cgroup-systemd/update.ts";
import { asCtrError, fail } from "../../../src/error.ts";
import type { Variant } from "../../../src/kernel/dbus-marshal.ts";
import type { Systemd } from "../../../src/kernel/systemd.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";

const FILES = {
  "cgroup.controllers": "cpu io memory pids",
  "cpu.max": "12345 50000",
  "memory.max": "67108864",
  "memory.high": "41943040",
  "pids.max": "max",
};

let top = "";
let directory = "";
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "ctr-bun-unit-"));
  directory = join(top, "box.scope");
  mkdirSync(directory);
  for (const [file, text] of Object.entries(FILES)) writeFileSync(join(directory, file), text);
});
afterEach(() => rmSync(top, { recursive: true }));

// A plain file keeps what is beyond a shorter text, other than a cgroup's: only texts of one length are compared.
const held = () =>
  Object.fromEntries(Object.keys(FILES).map((file) => [file, readFileSync(join(directory, file), "utf8")]));

/** A systemd that knows of no limit but TasksMax. `also`: what happens beside the first change of properties. */
function systemdWith(also: () => void) {
  const known = new Map<string, Variant>([["TasksMax", { signature: "t", value: 2n ** 64n - 1n }]]);
  let first = true;
  const never = (): never => {
    throw fail({ code: "INTERNAL", message: "not asked for" });
  };
  const systemd: Systemd = {
    version: () => 252,
    controlGroup: () => "/",
    unitProperties: () => new Map(known),
    setProperties(_unit, properties) {
      for (const [name, value] of properties) known.set(name, value);
      writeFileSync(join(directory, "cpu.max"), "12500 50000");
      writeFileSync(join(directory, "memory.max"), "max");
      writeFileSync(join(directory, "memory.high"), "max");
      if (first) also();
      first = false;
      return true;
    },
    tryStart: never,
    stop: never,
    resetFailed: never,
    attach: never,
    close: never,
  };
  return { systemd, known };
}

const update: LinuxResources = { pids: { limit: 50 } };

test("limits that an update does not name are written again behind systemd", () => {
  const { systemd, known } = systemdWith(() => {});
  changeWith(systemd, { unified: directory }, update);
  expect(known.get("TasksMax")?.value).toBe(50n);
  expect(held()).toMatchObject({ ...FILES, "pids.max": expect.stringMatching(/^50/) });
});

test("an update of which a file is refused behind systemd leaves files and properties as they were", () => {
  const stubborn = join(directory, "memory.high");
  const { systemd, known } = systemdWith(() => {
    rmSync(stubborn);
    // Nothing can be written there.
    symlinkSync("/proc/version", stubborn);
  });
  const real = systemd.setProperties;
  let calls = 0;
  const mended: Systemd = {
    ...systemd,
    setProperties(unit, properties) {
      if (++calls === 2) rmSync(stubborn);
      return real(unit, properties);
    },
  };
  let error = "";
  try {
    changeWith(mended, { unified: directory }, update);
  } catch (thrown) {
    const { code, errno, path, message, hint } = asCtrError(thrown);
    error = `${code} ${errno} ${path}: ${message} (${hint})`;
  }
  expect(error).toMatch(
    /^SYSCALL E\w+ \S+\/box\.scope\/memory\.high: cannot write again what systemd has written over: .* \(undefined\)$/,
  );
  expect(calls).toBe(2);
  expect(known.get("TasksMax")?.value).toBe(2n ** 64n - 1n);
  expect(held()).toEqual(FILES);
});

test("systemd is told of quota and period, and of BFQ's weights, as the kernel has them after the update", () => {
  const { systemd, known } = systemdWith(() => {});
  writeFileSync(join(directory, "io.bfq.weight"), "default 300\n8:0 50\n");
  changeWith(systemd, { unified: directory }, { unified: { "cpu.max": "25000 50000" } });
  expect(known.get("CPUQuotaPeriodUSec")?.value).toBe(50_000n);
  expect(known.get("CPUQuotaPerSecUSec")?.value).toBe(500_000n);
  expect(known.has("IOWeight")).toBe(false);
  changeWith(
    systemd,
    { unified: directory },
    { blockIO: { weightDevice: [{ major: 8, minor: 0, weight: 50 }] } },
  );
  expect(known.get("IODeviceWeight")?.value).toEqual([["/dev/block/8:0", 50n]]);
});

describe("an update that ends the container, and its unit with it", () => {
  /** The unit ends while it is told the change: `answer` is whether systemd still takes that. */
  function ending(answer: boolean) {
    let state: string | undefined = "active";
    const { systemd } = systemdWith(() => {
      rmSync(directory, { recursive: true });
      state = undefined;
    });
    const real = systemd.setProperties;
    const ends: Systemd = {
      ...systemd,
      setProperties: (unit, properties) => real(unit, properties) && answer,
      unitProperties: (unit, kind, names) =>
        names.includes("ActiveState")
          ? new Map(state === undefined ? [] : [["ActiveState", { signature: "s", value: state }]])
          : systemd.unitProperties(unit, kind, names),
    };
    const stays = (): void => {
      state = "active";
    };
    return { systemd: ends, stays };
  }

  test.each([true, false])("is no error, whether systemd has taken the change or not (%p)", (answer) => {
    expect(() => changeWith(ending(answer).systemd, { unified: directory }, update)).not.toThrow();
  });

  test("is one where the unit is still active", () => {
    const { systemd, stays } = ending(false);
    const real = systemd.setProperties;
    const alive: Systemd = {
      ...systemd,
      setProperties(unit, properties) {
        const result = real(unit, properties);
        stays();
        return result;
      },
    };
    expect(() => changeWith(alive, { unified: directory }, update)).toThrow("box.scope is gone");
  });

  test("is one where there was no such cgroup to begin with", () => {
    const { systemd } = ending(false);
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    const gone = join(top, "other.scope");
    expect(() => changeWith(systemd, { unified: gone }, update)).toThrow();
  });
});
