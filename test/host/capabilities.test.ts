// Capabilities that this host's own bounding set lacks: asked for they are left out with a warning, and a user namespace
// of the container's own has them all.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CAPABILITIES } from "../../src/kernel/capabilities.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const setOf = (status: string, name: string) =>
  BigInt(`0x${new RegExp(`${name}:\\s*([0-9a-f]+)`).exec(status)?.[1] ?? "0"}`);
const HOST = setOf(readFileSync("/proc/self/status", "utf8"), "CapBnd");
const status = ["cat", "/proc/self/status"];

function withAll({ process }: Config): void {
  const all = [...CAPABILITIES];
  process.capabilities = { bounding: all, effective: all, permitted: all, inheritable: all, ambient: all };
}

/** As if the host had no CAP_SYS_BOOT either: what follows is tested on a host that lacks nothing, too. */
const LESS = ["setpriv", "--bounding-set", "-sys_boot", "--"];
const SYS_BOOT = 1n << 22n;
const has = HOST & ~SYS_BOOT;
const ctr = (...args: string[]) => runCommand([...LESS, CTR_BUN, "--root", bundle.state, ...args]);
const missing = CAPABILITIES.filter((_, bit) => ((has >> BigInt(bit)) & 1n) === 0n).toSorted();
const warning = `ctr-bun: warning: process.capabilities: ignoring unknown or unavailable capabilities: [${missing.join(" ")}]\n`;

test("what the host lacks is left out of all five sets with a warning, by run, create and exec", () => {
  bundle.configure(status, withAll);
  const run = ctr("run", "--bundle", bundle.path, freshID());
  expect({ code: run.code, err: run.err }).toEqual({ code: 0, err: warning });
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(setOf(run.out, set)).toBe(has);

  const id = freshID();
  bundle.configure(["sleep", "100"], withAll);
  try {
    expect(ctr("create", "--bundle", bundle.path, id)).toMatchObject({ code: 0, err: warning });
    expect(ctr("start", id)).toMatchObject({ code: 0, err: "" });
    const exec = ctr("exec", id, ...status);
    expect({ code: exec.code, err: exec.err }).toEqual({ code: 0, err: warning });
    expect(setOf(exec.out, "CapEff")).toBe(has);
  } finally {
    ctr("delete", "--force", id);
  }
});

test("in a user namespace all are granted", () => {
  bundle.configure(status, (config) => {
    withAll(config);
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = config.linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  });
  const { code, out, err } = ctr("run", "--bundle", bundle.path, freshID());
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(setOf(out, "CapEff")).toBe((1n << BigInt(CAPABILITIES.length)) - 1n);
});

test("the log has the warning in runc's format", () => {
  const log = `${bundle.path}/log.json`;
  bundle.configure(["true"], withAll);
  const run = ctr("--log", log, "--log-format", "json", "run", "--bundle", bundle.path, freshID());
  expect(run.code).toBe(0);
  const lines = readFileSync(log, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({
      level: "warning",
      msg: expect.stringContaining("ignoring unknown or unavailable"),
    }),
  ]);
});
