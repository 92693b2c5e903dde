// A run that is interrupted or killed while its container is being made: nothing is lost, nothing is locked, and what
// is left is removed by whoever comes next.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { imagePath } from "../support/images.ts";
import { until } from "../support/until.ts";
import { newWorld, type World } from "./engine-setup.ts";

let world: World;
let fifo: string;
beforeAll(async () => {
  world = await newWorld();
  await world.ctr("pull", "-q", world.plain);
  fifo = join(world.scratch, "fifo");
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
});
afterAll(async () => {
  await world.end();
});

const nothing = { mounts: [], processes: [], directories: [], states: [] };

/** A run that stands still between the mount and the record: no one writes into its profile. */
async function stuck(name: string): Promise<Bun.Subprocess> {
  const child = world.start("run", "--name", name, "--security-opt", `seccomp=${fifo}`, world.plain, "true");
  await until(() => world.leftovers().mounts.length > 0);
  await Bun.sleep(200);
  return child;
}

async function killed(name: string): Promise<void> {
  const child = await stuck(name);
  child.kill("SIGKILL");
  await child.exited;
  expect(world.leftovers().mounts).toHaveLength(1);
}

describe("a container whose creator was killed before there was a record", () => {
  test("is removed by rm, by name", async () => {
    await killed("gone");
    expect(await world.ctr("rm", "gone")).toEqual({ code: 0, stdout: "gone\n", stderr: "" });
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("does not keep its name", async () => {
    await killed("gone");
    const { code, stdout } = await world.ctr("run", "--rm", "--name", "gone", world.plain, "echo", "taken");
    expect([code, stdout]).toEqual([0, "taken\n"]);
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("is removed by ps -a", async () => {
    await killed("gone");
    expect(await world.ctr("ps", "-aq")).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(world.leftovers()).toMatchObject(nothing);
    expect(readdirSync(join(world.store, "snapshots/overlay"), { recursive: true })).not.toContain("gone");
  });
});

test("a container that is being created is not removed, nor is its name free", async () => {
  const child = await stuck("busy");
  try {
    const { code, stderr } = await world.ctr("rm", "busy");
    expect([code, stderr]).toEqual([1, expect.stringContaining("it is being created")]);
    expect((await world.ctr("ps", "-aq")).stdout).toBe("");
    expect((await world.ctr("run", "--name", "busy", world.plain, "true")).stderr).toContain("in use");
    expect(world.leftovers().mounts).toHaveLength(1);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
  expect((await world.ctr("rm", "busy")).code).toBe(0);
  expect(world.leftovers()).toMatchObject(nothing);
});

test("a damaged record hides no other container, and rm -f does without it", async () => {
  for (const name of ["good", "bad"]) await world.ctr("run", "--name", name, world.plain, "true");
  const id = (await world.ctr("inspect", "-f", "{{.Id}}", "bad")).stdout.trim();
  writeFileSync(join(world.store, "containers", id, "container.json"), "{");
  const listed = await world.ctr("ps", "-a", "--format", "{{.Names}}");
  expect([listed.code, listed.stdout]).toEqual([0, "good\n"]);
  expect(listed.stderr).toContain(`the record of container ${id.slice(0, 12)} is damaged`);
  expect((await world.ctr("rm", "bad")).stderr).toContain("rm -f");
  expect((await world.ctr("rm", "-f", "bad")).code).toBe(0);
  expect((await world.ctr("rm", "good")).code).toBe(0);
  expect(world.leftovers()).toMatchObject(nothing);
});

test("a store that is none is no empty one", async () => {
  const store = join(world.scratch, "store");
  mkdirSync(store);
  writeFileSync(join(store, "containers"), "");
  const { code, stderr } = await world.ctr("--store", store, "ps", "-a");
  expect([code, stderr]).toEqual([1, expect.stringContaining("cannot read the store")]);
});

test("an interrupt at any moment ends the run, or reaches the program", async () => {
  for (let delay = 20; delay <= 260; delay += 15) {
    const child = world.start("run", "--rm", "-q", "--init", world.plain, "sleep", "30");
    await Bun.sleep(delay);
    const started = performance.now();
    child.kill("SIGTERM");
    const code = await child.exited;
    expect([delay, code]).toEqual([delay, 143]);
    expect(performance.now() - started).toBeLessThan(20_000);
  }
  expect(world.leftovers()).toMatchObject(nothing);
}, 180_000);

test("a hole in a volume's file stays one", async () => {
  const layout = join(mkdtempSync(join(world.scratch, "image-")), "layout");
  cpSync(imagePath("busybox"), layout, { recursive: true });
  const file = join(world.scratch, "sparse");
  expect(Bun.spawnSync(["sh", "-c", `printf begin >${file}; truncate -s 2G ${file}`]).exitCode).toBe(0);
  const image = `${layout}:plain`;
  expect(Bun.spawnSync(["umoci", "insert", "--image", image, file, "/holes/sparse"]).exitCode).toBe(0);
  expect(Bun.spawnSync(["umoci", "config", "--image", image, "--config.volume=/holes"]).exitCode).toBe(0);
  const name = world.registry.push(layout, "plain", "sparse:1");
  const { code, stdout } = await world.ctr(
    "run",
    "-q",
    "--name",
    "holes",
    name,
    "sh",
    "-c",
    "head -c 5 /holes/sparse; stat -c %s /holes/sparse",
  );
  expect([code, stdout]).toEqual([0, "begin2147483648\n"]);
  const id = (await world.ctr("inspect", "-f", "{{.Id}}", "holes")).stdout.trim();
  const copy = join(world.store, "containers", id, "volumes/0/sparse");
  expect(existsSync(copy)).toBe(true);
  expect(statSync(copy).blocks).toBeLessThan(4096);
  expect((await world.ctr("rm", "holes")).code).toBe(0);
}, 180_000);

test("a run that is killed at any moment leaves what rm -f removes", async () => {
  for (let delay = 40; delay < 160; delay += 6) {
    const child = world.start("run", "--name", "killed", world.plain, "sleep", "100");
    await Bun.sleep(delay);
    child.kill("SIGKILL");
    await child.exited;
    expect(await world.ctr("rm", "-f", "killed")).toMatchObject({ code: 0, stderr: "" });
    expect(world.leftovers()).toMatchObject({ ...nothing, cgroups: [] });
  }
}, 180_000);
