// Classes of resctrl, on a fake tree: this hardware has none. Directories of a cgroup hierarchy stand for it where the
// kernel's own files matter (`tasks` comes with mkdir and takes PIDs), plain files where what is written matters.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtinRegistry } from "../../src/builtin-drivers.ts";
import { asCtrError, errorLine } from "../../src/error.ts";
import { tryKill, waitPid } from "../../src/kernel/process.ts";
import { probeHost } from "../../src/runtime/host.ts";
import {
  createContainer,
  deleteContainer,
  execInContainer,
  startContainer,
} from "../../src/runtime/lifecycle.ts";
import { needRecord } from "../../src/runtime/state.ts";
import type { LinuxIntelRdt, RuntimeConfig } from "../../src/spec/runtime/config.ts";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";
import { specConfig } from "../support/config.ts";

const registry = builtinRegistry();
const host = probeHost();
/** In a hierarchy without a controller: being moved there changes nothing for a process. */
const TREE = `/sys/fs/cgroup/systemd/ctr-bun-resctrl-${process.pid}`;

let bundle: Bundle;
let root = "";
let id = "";
const tasks = (group: string) =>
  readFileSync(join(root, group, "tasks"), "utf8")
    .trim()
    .split("\n");
const make = (...groups: string[]) => {
  for (const group of groups) mkdirSync(join(root, group), { recursive: true });
};

beforeEach(() => {
  bundle = makeBundle();
  id = freshID();
  root = TREE;
  mkdirSync(root);
});
afterEach(async () => {
  await deleteContainer({ root: bundle.state, id, force: true, registry });
  bundle.dispose();
  // What a container has left there makes this fail.
  for (const group of ["gold/mon_groups", "gold", ""])
    if (existsSync(join(TREE, group))) rmdirSync(join(TREE, group));
});

/** Creates a container with this section. */
async function create(intelRdt: LinuxIntelRdt): Promise<number> {
  const config = specConfig("rootfs", ["sleep", "60"]) as unknown as RuntimeConfig;
  const { pid } = await createContainer({
    root: bundle.state,
    id,
    bundle: bundle.path,
    config: { ...config, linux: { ...config.linux, intelRdt } },
    registry,
    host,
    resctrl: root,
  });
  return pid;
}
async function errorOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "no error",
    (error) => errorLine(asCtrError(error)),
  );
}

test("a container is in the class of its own name, which goes with it", async () => {
  const pid = await create({});
  expect(tasks(id)).toEqual([`${pid}`]);
  await deleteContainer({ root: bundle.state, id, force: true, registry });
  expect(existsSync(join(root, id))).toBe(false);
});

test("a class that is named stays, and the monitoring group in it goes; exec joins both", async () => {
  make("gold/mon_groups");
  const pid = await create({ closID: "gold", enableMonitoring: true });
  // A process is in one group of a cgroup hierarchy, the last one that it was written to.
  expect(tasks(`gold/mon_groups/${id}`)).toEqual([`${pid}`]);
  await startContainer(bundle.state, id, registry);
  const spec = needRecord(bundle.state, id).config.process;
  if (spec === undefined) throw new Error("no process");
  const second = await execInContainer({
    root: bundle.state,
    id,
    process: { ...spec, args: ["sleep", "50"] },
    registry,
    host,
    detach: true,
  });
  expect(tasks(`gold/mon_groups/${id}`)).toEqual([`${pid}`, `${second.pid}`]);
  // It is a child of this test, and the init of its pid namespace cannot go before somebody has heard of its end.
  tryKill(second.pid, 9);
  waitPid(second.pid);
  await deleteContainer({ root: bundle.state, id, force: true, registry });
  expect(existsSync(join(root, "gold"))).toBe(true);
  expect(existsSync(join(root, "gold/mon_groups", id))).toBe(false);
});

test("the default class takes it too", async () => {
  const pid = await create({ closID: "/" });
  expect(tasks("")).toEqual([`${pid}`]);
});

test("a class that cannot be given its schemata is taken away again", async () => {
  // A directory of cgroups has no file of that name.
  const words = await errorOf(create({ l3CacheSchema: "L3:0=f" }));
  expect(words).toBe(
    `linux.intelRdt: cannot set the schemata of ${root}/${id}: no such file or directory (write ${root}/${id}/schemata: ENOENT)`,
  );
  expect(existsSync(join(root, id))).toBe(false);
  const named = await errorOf(create({ closID: "silver", schemata: ["L3:0=f"] }));
  expect(named).toContain("silver/schemata");
  expect(existsSync(join(root, "silver"))).toBe(false);
});

test("a class that is named and not there, or is there with another schema, is an error", async () => {
  expect(await errorOf(create({ closID: "gold" }))).toContain(
    "linux.intelRdt.closID: clos dir not accessible",
  );
  make("gold");
  expect(await errorOf(create({ closID: "gold", memBwSchema: "MB:0=20" }))).toContain(
    "linux.intelRdt.memBwSchema: the class gold is there with another schema than MB:0=20",
  );
});

test("schemata and the pid are written as they are given, and an update writes new ones", async () => {
  root = join(bundle.path, "resctrl");
  make("gold", "info");
  writeFileSync(join(root, "info/last_cmd_status"), "ok\n");
  writeFileSync(join(root, "gold/tasks"), "");
  writeFileSync(join(root, "gold/schemata"), "MB:0=20\nL3:0=f\n");
  const pid = await create({ closID: "gold", l3CacheSchema: "L3:0=0F", memBwSchema: "MB:0=20" });
  expect(readFileSync(join(root, "gold/schemata"), "utf8")).toBe("L3:0=0F\nMB:0=20\n");
  expect(tasks("gold")).toEqual([`${pid}`]);
  // An update that fails elsewhere leaves the class as it was.
  expect(bundle.ctr("update", "--l3-cache-schema", "L3:0=7", "--cpuset-cpus", "4000", id).code).toBe(1);
  expect(readFileSync(join(root, "gold/schemata"), "utf8")).toBe("L3:0=0F\nMB:0=20\n");
  const update = bundle.ctr("update", "--l3-cache-schema", "L3:0=3", id);
  expect(update).toMatchObject({ code: 0, err: "" });
  const after = needRecord(bundle.state, id).config.linux?.intelRdt;
  expect(after).toEqual({ closID: "gold", l3CacheSchema: "L3:0=3", memBwSchema: "MB:0=20" });
  expect(readFileSync(join(root, "gold/schemata"), "utf8")).toStartWith("L3:0=3\n");
});

test("what the kernel says of a write that failed is told", async () => {
  root = join(bundle.path, "resctrl");
  make("gold/schemata", "info");
  writeFileSync(join(root, "info/last_cmd_status"), "mask f out of range\n");
  expect(await errorOf(create({ closID: "silver", schemata: ["L3:0=f"] }))).toContain(
    `cannot set the schemata of ${root}/silver: last_cmd_status: mask f out of range: no such file or directory`,
  );
});

test("without resctrl on the host it is an error", () => {
  const { code, err } = bundle.run(["true"], ({ linux }) => Object.assign(linux, { intelRdt: {} }));
  expect(code).toBe(1);
  expect(err).toContain(
    "linux.intelRdt: intelRdt is specified in config, but Intel RDT is not enabled: no resctrl file system is mounted",
  );
});
