// Images and containers in a store that several processes use, and a snapshotter of a user's own.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { newWorld, type World } from "./engine-setup.ts";

let world: World;
beforeAll(async () => {
  world = await newWorld();
});
afterAll(async () => {
  await world.end();
});

const nothing = { mounts: [], processes: [], directories: [], states: [] };

describe("images", () => {
  test("are pulled, listed, inspected and removed", async () => {
    const pulled = await world.ctr("pull", world.full);
    expect(pulled.code).toBe(0);
    expect(pulled.stderr).toMatch(/Digest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for /);
    expect((await world.ctr("pull", world.full)).stderr).toContain("Status: Image is up to date for");
    expect(await world.ctr("pull", "-q", world.plain)).toMatchObject({ code: 0, stderr: "" });

    const { stdout } = await world.ctr("images", "--format", "{{.Repository}}:{{.Tag}}");
    expect(stdout.split("\n").sort()).toEqual(["", world.full, world.plain].sort());
    const digests = (await world.ctr("images", "--digests", "--no-trunc")).stdout;
    expect(digests).toMatch(/REPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE\n/);
    expect(digests).toMatch(/ sha256:[0-9a-f]{64} +sha256:[0-9a-f]{64} /);

    const [image] = JSON.parse((await world.ctr("inspect", world.full)).stdout);
    expect(image).toMatchObject({
      RepoTags: [world.full],
      Os: "linux",
      Config: { Entrypoint: ["/entrypoint"], StopSignal: "SIGINT", Volumes: { "/data": {} } },
      RootFS: { Type: "layers" },
    });
    const id = (await world.ctr("images", "-q", world.full)).stdout.trim();
    expect(image.Id).toStartWith(`sha256:${id}`);
    expect((await world.ctr("run", "--rm", id, "echo", "by ID")).stdout).toBe("by ID\n");

    await world.ctr("run", "--name", "user", world.full, "true");
    const used = await world.ctr("rmi", world.full);
    expect(used).toMatchObject({ code: 1, stderr: expect.stringContaining("user") });
    await world.ctr("rm", "user");
    expect((await world.ctr("rmi", world.full)).stdout).toMatch(/^Untagged: [\s\S]*\nDeleted: sha256:/);
    expect((await world.ctr("inspect", "--type", "image", world.full)).code).toBe(1);
    expect((await world.ctr("run", "--rm", world.plain, "echo", "other")).stdout).toBe("other\n");
  });
});

test("20 containers at the same time over one store, the image not there at first", async () => {
  await world.ctr("rmi", "-f", world.plain);
  const runs = Array.from({ length: 20 }, (_, n) =>
    world.ctr("run", "--rm", "--quiet", world.plain, "sh", "-c", `echo ${n} >/file; cat /file`),
  );
  const results = await Promise.all(runs);
  expect(results).toEqual(results.map((_, n) => ({ code: 0, stdout: `${n}\n`, stderr: "" })));
  expect(world.leftovers()).toMatchObject(nothing);
}, 120_000);

test("200 containers one after another leave nothing", async () => {
  await world.ctr("pull", "-q", world.plain);
  const before = world.leftovers();
  for (let n = 0; n < 200; n++) {
    const result = await world.ctr("run", "--rm", world.plain, "echo", `${n}`);
    expect(result).toEqual({ code: 0, stdout: `${n}\n`, stderr: "" });
  }
  expect(world.leftovers()).toEqual(before);
}, 300_000);

test("20 named containers at the same time, kept and removed", async () => {
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, n) => world.ctr("run", "--name", `c${n % 10}`, world.plain, "true")),
  );
  expect(results.filter(({ code }) => code === 0)).toHaveLength(10);
  expect(results.filter(({ code }) => code === 125)).toHaveLength(10);
  const ids = (await world.ctr("ps", "-aq")).stdout.trim().split("\n");
  expect(ids).toHaveLength(10);
  expect((await world.ctr("rm", ...ids)).code).toBe(0);
  expect(world.leftovers()).toMatchObject(nothing);
}, 120_000);

describe("a snapshotter of a user's own", () => {
  const driver = (): string => {
    const directory = join(world.scratch, "drivers");
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const file = join(directory, "copy.ts");
    writeFileSync(file, COPY_DRIVER);
    return file;
  };

  test("given with --driver keeps the root file systems", async () => {
    const store = join(world.scratch, "copies");
    const flags = ["--driver", driver(), "--store", store, "--snapshotter", "copy"];
    const { code, stdout, stderr } = await world.ctr(
      ...flags,
      "run",
      "--rm",
      "--quiet",
      world.full,
      "sh",
      "-c",
      "grep -c ' / .*overlay' /proc/mounts; cat /data/kept",
    );
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: "0\nfrom the image\n",
      stderr: "entrypoint: sh -c grep -c ' / .*overlay' /proc/mounts; cat /data/kept\n",
    });
    expect(readdirSync(join(store, "snapshots"))).toEqual(["copy"]);
    expect(
      readdirSync(join(store, "snapshots/copy")).filter((name) => name.startsWith("committed-")),
    ).not.toEqual([]);
    expect(readdirSync(join(store, "snapshots/copy")).filter((name) => name.startsWith("active-"))).toEqual(
      [],
    );
  });

  test("is refused where others may write it", async () => {
    const file = driver();
    chmodSync(file, 0o666);
    const { code, stderr } = await world.ctr("--driver", file, "ps");
    expect([code, stderr]).toEqual([1, expect.stringContaining("may be written by others")]);
    chmodSync(file, 0o644);
  });
});

describe("plan", () => {
  test("of an image prints every step with its field, and leaves nothing", async () => {
    const { code, stdout } = await world.ctr("plan", "--memory", "64m", world.plain, "true");
    expect(code).toBe(0);
    expect(stdout).toContain("linux.resources.memory");
    expect(stdout).toMatch(/mounts\[\d+\].*\/proc/);
    expect(stdout).toContain("process.args");
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("of a bundle needs no store", async () => {
    const bundle = join(world.scratch, "bundle");
    mkdirSync(join(bundle, "rootfs"), { recursive: true });
    const spec = { ociVersion: "1.3.0", process: { args: ["true"], cwd: "/" }, root: { path: "rootfs" } };
    writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
    const { code, stdout } = await world.ctr("--store", "/nowhere", "plan", bundle);
    expect(code).toBe(0);
    expect(stdout).toContain("process.args");
    expect(stdout).toContain("linux.cgroupsPath");
    expect(existsSync("/nowhere")).toBe(false);
    const without = await world.ctr("plan", "--cgroup-manager", "disabled", bundle);
    expect(without.code).toBe(0);
    expect(without.stdout).not.toContain("linux.cgroupsPath");
    const both = await world.ctr("plan", "--systemd-cgroup", "--cgroup-manager", "cgroupfs", bundle);
    expect(both.code).toBe(125);
    expect(both.stderr).toContain(
      "--systemd-cgroup: cannot be given together with --cgroup-manager cgroupfs",
    );
    const systemd = await world.ctr("plan", "--systemd-cgroup", bundle);
    expect(systemd.stdout + systemd.stderr).toMatch(
      /have systemd start ctr-bun-plan\.scope|systemd does not run/,
    );
  });
});

/** Root file systems as whole copies: slow, and to be understood at a glance. */
const COPY_DRIVER = `
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import type { Snapshotter, SnapshotterDriver } from ${JSON.stringify(resolve(import.meta.dir, "../../src/driver.ts"))};

const hash = (key: string) => new Bun.CryptoHasher("sha256").update(key).digest("hex");

function open(root: string): Snapshotter {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const place = (kind: string, key: string) => root + "/" + kind + "-" + hash(key);
  const find = (key: string) => ["committed", "active", "view"].find((kind) => existsSync(place(kind, key)));
  const mounts = (key: string) => [{ type: "bind", source: place(find(key) ?? "", key) + "/fs", options: ["rbind", find(key) === "view" ? "ro" : "rw"] }];
  const make = (kind: string) => (key: string, parent: string | undefined) => {
    const at = place(kind, key);
    mkdirSync(at, { mode: 0o700 });
    writeFileSync(at + "/info.json", JSON.stringify({ key, kind, parent }));
    if (parent === undefined) mkdirSync(at + "/fs", { mode: 0o755 });
    else if (spawnSync("cp", ["-a", place("committed", parent) + "/fs", at + "/fs"]).status !== 0) throw new Error("cp failed");
    return mounts(key);
  };
  const stat = (key: string) => {
    const kind = find(key);
    return kind === undefined ? undefined : { ...JSON.parse(readFileSync(place(kind, key) + "/info.json", "utf8")), kind };
  };
  return {
    name: "copy", stat, mounts,
    usage: () => ({ bytes: 0, inodes: 0 }),
    prepare: make("active"), view: make("view"),
    upper: () => undefined,
    commit(name, key) {
      const info = stat(key);
      writeFileSync(place("active", key) + "/info.json", JSON.stringify({ ...info, key: name, kind: "committed" }));
      renameSync(place("active", key), place("committed", name));
    },
    remove(key) {
      const kind = find(key);
      if (kind !== undefined) rmSync(place(kind, key), { recursive: true });
    },
    walk(visit) {
      for (const name of readdirSync(root)) visit(JSON.parse(readFileSync(root + "/" + name + "/info.json", "utf8")));
    },
  };
}

export default { kind: "snapshotter", name: "copy", probe: () => ({ ok: true }), open } satisfies SnapshotterDriver;
`;
