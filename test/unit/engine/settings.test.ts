// config.toml: what beats what, and that every fault names file, line and key.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSettings, parseSettings, type SettingFlags } from "../../../src/engine/settings/load.ts";
import { lineOfKey } from "../../../src/engine/settings/places.ts";

const directory = mkdtempSync(join(tmpdir(), "ctr-bun-settings-"));
afterAll(() => rmSync(directory, { recursive: true }));

const noFlags: SettingFlags = {
  config: undefined,
  store: undefined,
  snapshotter: undefined,
  "log-format": undefined,
  driver: [],
};

function load(text: string | undefined, flags: Partial<SettingFlags> = {}, env: Record<string, string> = {}) {
  const file = join(directory, "config.toml");
  if (text !== undefined) writeFileSync(file, text);
  return loadSettings({
    flags: { ...noFlags, ...(text === undefined ? {} : { config: file }), ...flags },
    env,
    uid: 0,
    cwd: "/cwd",
  });
}

async function faultOf(text: string) {
  try {
    await parseSettings(text, "/c.toml");
  } catch (error) {
    const { field, message } = error as { field: string; message: string };
    return { field, message };
  }
  throw new Error("no error");
}

test("a flag beats the environment beats the file beats the default", async () => {
  const text = 'store = "/from-file"\n';
  const stores = [
    await load(undefined, { config: undefined }, { CTR_BUN_CONFIG: "" }),
    await load(text),
    await load(text, {}, { CTR_BUN_STORE: "/from-env" }),
    await load(text, { store: "relative" }, { CTR_BUN_STORE: "/from-env" }),
  ].map(({ settings, origins }) => [settings.store, origins.find(({ key }) => key === "store")?.from]);
  expect(stores).toEqual([
    ["/var/lib/ctr-bun", "default"],
    ["/from-file", `${join(directory, "config.toml")}:1`],
    ["/from-env", "CTR_BUN_STORE"],
    ["/cwd/relative", "--store"],
  ]);
});

test("who makes cgroups is chosen by the environment, then by the file, then for the host", async () => {
  const text = 'cgroup-manager = "disabled"\n';
  const managers = [
    await load(undefined, {}, { CTR_BUN_CONFIG: "" }),
    await load(text),
    await load(text, {}, { CTR_BUN_CGROUP_MANAGER: "cgroupfs" }),
  ].map(({ settings }) => settings.cgroupManager);
  expect(managers).toEqual([undefined, "disabled", "cgroupfs"]);
  await expect(load(text, {}, { CTR_BUN_CGROUP_MANAGER: "docker" })).rejects.toThrow(
    'there is no cgroup manager "docker"',
  );
  expect(await faultOf('cgroup-manager = "docker"\n')).toEqual({
    field: "/c.toml:1",
    message: 'cgroup-manager must be "cgroupfs", "systemd" or "disabled"',
  });
});

test("registries and limits are read", async () => {
  const { settings } = await load(
    '[registries."localhost:5000"]\nplain-http = true\nrealms = ["auth.example"]\n[limits]\nmemory = "1g"\ncpus = 0.5\n',
  );
  expect(settings.registries).toEqual({ "localhost:5000": { "plain-http": true, realms: ["auth.example"] } });
  expect(settings.limits).toEqual({ memory: "1g", cpus: 0.5 });
});

test("a file that was named must be there; the default one need not", async () => {
  await expect(load(undefined, { config: "/nope.toml" })).rejects.toThrow("no such configuration file");
});

test("an ordinary user's file and store are below their home", async () => {
  const { settings, file } = await loadSettings({
    flags: noFlags,
    env: { HOME: "/home/me", XDG_DATA_HOME: "/data" },
    uid: 1000,
    cwd: "/",
  });
  expect([file, settings.store]).toEqual(["/home/me/.config/ctr-bun/config.toml", "/data/ctr-bun"]);
});

describe("a fault names file, line and key", () => {
  test("for a key that is not known", async () => {
    expect(await faultOf('store = "/x"\n\nstroe = "/y"\n')).toEqual({
      field: "/c.toml:3",
      message: "there is no key stroe",
    });
    expect(await faultOf('[registries."a:1"]\nplain-http = true\nplain-htpp = true\n')).toEqual({
      field: "/c.toml:3",
      message: 'there is no key registries."a:1".plain-htpp',
    });
  });

  test("for a bad value", async () => {
    expect(await faultOf('# c\nlog-format = "xml"\n')).toEqual({
      field: "/c.toml:2",
      message: 'log-format must be "text" or "json"',
    });
    expect(await faultOf('store = "relative"\n')).toEqual({
      field: "/c.toml:1",
      message: "store must be an absolute path",
    });
    expect((await faultOf('drivers = [\n "/a",\n 7,\n]\n')).field).toBe("/c.toml:1");
  });

  test("for what is no TOML", async () => {
    const { field, message } = await faultOf('store = "/x"\nnetwork = = "none"\n');
    expect(field).toBe("/c.toml:2");
    expect(message).toStartWith("not valid TOML: ");
  });
});

test("keys are found in tables, with dots and quotes, and not inside strings", () => {
  const text = 's = """\nkey = 1\n"""\n[a."b.c"]\nkey = 1\n[d]\ne.key = 2\n';
  expect(lineOfKey(text, ["a", "b.c", "key"])).toBe(5);
  expect(lineOfKey(text, ["d", "e", "key"])).toBe(7);
  expect(lineOfKey(text, ["key"])).toBeUndefined();
  expect(lineOfKey(text, ["a", "b.c", "other"])).toBe(4);
});
