// Global options of the OCI level: the log and its levels, cgroups switched off, what is refused.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

test("what is not there is refused: unknown managers, verbs and flags", () => {
  const said = (...args: string[]) => {
    const { code, err } = bundle.ctr(...args);
    return `${code} ${err.split("\n")[0]}`;
  };
  expect(said("--cgroup-manager", "x", "list")).toContain('unknown cgroup manager "x"');
  expect(said("--rootless", "maybe", "list")).toContain("--rootless: invalid value");
  expect(said("starts", "id")).toBe('1 ctr-bun: there is no verb "starts"');
  expect(said("list", "--fast")).toBe("1 ctr-bun: unknown flag: --fast");
  for (const value of ["true", "false", "auto"]) expect(said("--rootless", value, "list", "-q")).toBe("0 ");
  expect(said("--criu", "/nowhere", "list", "-q")).toBe("0 ");
});

test("--systemd-cgroup is for every verb, and for a new container an error where systemd is not PID 1", () => {
  bundle.configure(["true"]);
  for (const manager of [["--systemd-cgroup"], ["--cgroup-manager", "systemd"]]) {
    expect(bundle.ctr(...manager, "list", "-q")).toEqual({ code: 0, out: "", err: "" });
    const { code, err } = bundle.ctr(...manager, "run", "--bundle", bundle.path, freshID());
    expect(code).toBe(1);
    // runc's words.
    expect(err).toContain("systemd not running on this host, cannot use systemd cgroups manager");
    expect(err).toContain("leave --systemd-cgroup out");
  }
  expect(bundle.ctr("--systemd-cgroup", "--cgroup-manager", "disabled", "list").err).toContain(
    "--systemd-cgroup: cannot be given together with --cgroup-manager disabled",
  );
});

describe("crun's flags", () => {
  test("--config takes another file for config.json, and spec --file writes one", () => {
    bundle.configure(["false"]);
    const other = join(bundle.path, "other.json");
    expect(bundle.ctr("spec", "--file", other).code).toBe(0);
    expect(bundle.ctr("spec", "--file", other).err).toContain("File other.json exists. Remove it first");
    const config = JSON.parse(readFileSync(other, "utf8"));
    config.process.terminal = false;
    config.process.args = ["echo", "other"];
    writeFileSync(other, JSON.stringify(config));
    for (const file of ["other.json", other]) {
      const run = ["run", "--config", file, "--bundle", bundle.path, freshID()];
      expect(bundle.ctr(...run)).toEqual({ code: 0, out: "other\n", err: "" });
    }
  });

  test("--regex of kill and delete means every container that matches", async () => {
    const [base, other] = [freshID(), freshID()];
    bundle.configure(["sleep", "100"]);
    for (const id of [`${base}.a`, `${base}.b`, other])
      bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
    const status = (id: string) => JSON.parse(bundle.ctr("state", id).out).status;
    expect(bundle.ctr("kill", "--regex", `${base}\\.[ab]$`, "KILL").code).toBe(0);
    for (let tries = 0; tries < 100 && status(`${base}.b`) !== "stopped"; tries++) await Bun.sleep(20);
    expect([`${base}.a`, `${base}.b`, other].map(status)).toEqual(["stopped", "stopped", "running"]);
    expect(bundle.ctr("delete", "--regex", `${base}`).code).toBe(0);
    expect(bundle.ctr("list", "-q").out).toBe(`${other}\n`);
    expect(bundle.ctr("delete", "--regex", "(").err).toContain('--regex: not a regular expression: "("');
    expect(bundle.ctr("delete", "-r", "-f", "^test-").code).toBe(0);
    expect(bundle.ctr("list", "-q").out).toBe("");
  });
});

describe("ociVersion", () => {
  const run = (version: unknown) =>
    bundle.run(["true"], (config) => {
      config.ociVersion = version as string;
    });

  test("every 1.x is accepted, with suffixes, and a newer minor", () => {
    for (const version of ["1.0.0", "1.0.2-dev", "1.1.0-rc.1+dev", "1.2.1", "1.3.0", "1.4.0", "1.99.0"])
      expect({ version, code: run(version).code }).toEqual({ version, code: 0 });
  });

  test("what is none is refused, as the specification has it", () => {
    const first = (version: unknown) => run(version).err.split("\n")[0];
    expect(first("2.0.0")).toContain("ociVersion: must be a 1.x version");
    expect(first("0.5.0")).toContain("ociVersion: must be a 1.x version");
    expect(first("new")).toContain("ociVersion: must be a semantic version");
    expect(first("")).toContain("ociVersion: must be a semantic version");
    expect(first(null)).toContain("ociVersion: expected string, got null");
    expect(first(undefined)).toContain("ociVersion: is required");
  });
});

test("features is one JSON document in runc's form", () => {
  const { out, code } = bundle.ctr("features");
  expect(code).toBe(0);
  expect(out).toStartWith(
    '{\n    "ociVersionMin": "1.0.0",\n    "ociVersionMax": "1.3.0",\n    "hooks": [\n',
  );
  const { linux, annotations } = JSON.parse(out);
  expect(linux.namespaces).toContain("time");
  expect(annotations["io.ctr-bun.version"]).toMatch(/^\d/);
});
