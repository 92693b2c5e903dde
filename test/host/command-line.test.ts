// Global options of the OCI level: the log and its levels, cgroups switched off, what is refused.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

describe("--debug", () => {
  test("logs every step of the plan; without it nothing is logged", () => {
    const log = join(bundle.path, "log");
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    const run = ["run", "--detach", "--bundle", bundle.path, id];
    expect(bundle.ctr("--log", log, "--log-format", "json", "--debug", ...run).code).toBe(0);
    const lines = readFileSync(log, "utf8").trim().split("\n");
    const messages = lines.map((line) => JSON.parse(line));
    expect(messages.every(({ level }) => level === "debug")).toBe(true);
    const said = messages.map(({ msg }) => msg);
    expect(said[0]).toMatch(/^ctr-bun \S+: run$/);
    expect(said).toContain("init  process.args[0]: execute sleep");
    rmSync(log);
    expect(bundle.ctr("--log", log, "exec", id, "true").code).toBe(0);
    expect(readFileSync(log, "utf8")).toBe("");
    bundle.ctr("delete", "--force", id);
  });
});

test("a log that cannot be written is an error before anything is made", () => {
  bundle.configure(["true"]);
  const { code, err } = bundle.ctr("--log", "/nowhere/log", "run", "--bundle", bundle.path, freshID());
  expect({ code, said: err.includes("--log: cannot open the log file: no such file") }).toEqual({
    code: 1,
    said: true,
  });
});

describe("--cgroup-manager disabled", () => {
  test("leaves the container in the caller's cgroups, and says what is not held", () => {
    const id = freshID();
    bundle.configure(["cat", "/proc/self/cgroup"]);
    const { out, err, code } = bundle.ctr(
      ...["--cgroup-manager", "disabled", "run", "--bundle", bundle.path, id],
    );
    expect({ code, out }).toEqual({ code: 0, out: readFileSync("/proc/self/cgroup", "utf8") });
    expect(err).toContain("linux.resources.devices: without cgroups access to devices is not restricted");
    expect(existsSync(`/sys/fs/cgroup/pids/ctr-bun/${id}`)).toBe(false);
  });

  test("refuses limits, and exec, kill and delete do without", () => {
    const id = freshID();
    const disabled = ["--cgroup-manager", "disabled"];
    bundle.configure(["sleep", "100"], ({ linux }) => {
      linux.resources.pids = { limit: 10 };
    });
    const run = [...disabled, "run", "--detach", "--bundle", bundle.path, id];
    expect(bundle.ctr(...run).err).toContain("linux.resources.pids: cannot set limits without cgroups");
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr(...run).code).toBe(0);
    expect(bundle.ctr("exec", id, "sh", "-c", "exit 3").code).toBe(3);
    expect(bundle.ctr("kill", "--all", id, "KILL").code).toBe(0);
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
  });
});

test("what is not there is refused: --systemd-cgroup, unknown managers, verbs and flags", () => {
  const said = (...args: string[]) => {
    const { code, err } = bundle.ctr(...args);
    return `${code} ${err.split("\n")[0]}`;
  };
  expect(said("--systemd-cgroup", "list")).toBe("1 ctr-bun: --systemd-cgroup: not supported yet");
  expect(said("--cgroup-manager", "x", "list")).toContain('unknown cgroup manager "x"');
  expect(said("--rootless", "maybe", "list")).toContain("--rootless: invalid value");
  expect(said("starts", "id")).toBe('1 ctr-bun: there is no verb "starts"');
  expect(said("list", "--fast")).toBe("1 ctr-bun: unknown flag: --fast");
  for (const value of ["true", "false", "auto"]) expect(said("--rootless", value, "list", "-q")).toBe("0 ");
  expect(said("--criu", "/nowhere", "list", "-q")).toBe("0 ");
});
