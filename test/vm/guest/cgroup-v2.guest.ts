/**
 * What the v2 driver alone has to get right, on a host with a cgroup2 tree alone, as root: controllers enabled down the
 * path, threaded cgroups, no processes where there are controllers for children. The rest is cgroup-suite.ts's.
 */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { cgroupV2Driver as driver } from "../../../drivers/cgroup-v2/driver.ts";
import { probeHost } from "../../../src/runtime/host.ts";
import { errorOf, makeBench } from "../../support/cgroup/bench.ts";

const host = probeHost();
const bench = makeBench({ name: "v2", driver, host });
const { create, until } = bench;
const path = `/ctr-bun-test-${process.pid}`;
const above = `${host.cgroup.unified}${path}`;

/** A cgroup above the container's, with a process of somebody else's in it; what is returned ends that. */
function occupyAbove(): () => void {
  mkdirSync(above);
  const child = Bun.spawn(["sh", "-c", `echo 0 > ${above}/cgroup.procs && exec sleep 60`]);
  until("somebody is in it", () => readFileSync(`${above}/cgroup.procs`, "utf8") !== "");
  const free = (): void => {
    child.kill("SIGKILL");
    until("it is free", () => readFileSync(`${above}/cgroup.procs`, "utf8") === "");
  };
  bench.later(() => {
    free();
    rmdirSync(above);
  });
  return free;
}

afterEach(() => bench.clear());
afterAll(() => bench.dispose());

describe("controllers", () => {
  test("are enabled down to the cgroup, all that there are", () => {
    const available = readFileSync(`${host.cgroup.unified}/cgroup.controllers`, "utf8").trim();
    const container = create(undefined, { cgroupsPath: `${path}/deep/c` });
    expect(container.read("", "", "cgroup.controllers")).toBe(available);
    bench.later(() => {
      rmdirSync(`${above}/deep`);
      rmdirSync(above);
    });
  });

  test("cannot be enabled below a cgroup that holds processes, which is named; nothing is left of the container", () => {
    occupyAbove();
    const error = errorOf(() => create({ memory: { limit: 1 << 20 } }, { cgroupsPath: `${path}/c` }));
    expect(error.message).toContain(`${above} holds processes itself`);
    expect(error.field).toBe("linux.resources.memory.limit");
  });

  test("of threads can, even there", () => {
    occupyAbove();
    const container = create({ pids: { limit: 5 } }, { cgroupsPath: `${path}/c` });
    expect(container.read("pids", "", "pids.max")).toBe("5");
    expect(container.sh("echo inside").out).toBe("inside\n");
    expect(driver.processes(container.paths)).toEqual([container.init.pid]);
  });

  test("are had from the update on that needs them, where they could not be had before", () => {
    const free = occupyAbove();
    const container = create(undefined, { cgroupsPath: `${path}/c` });
    const memory = { limit: 64 << 20 };
    expect(errorOf(() => container.update({ memory })).message).toContain(`${above} holds processes itself`);
    free();
    container.update({ memory });
    expect(container.read("memory", "", "memory.max")).toBe(String(64 << 20));
  });

  test("for its children keep a cgroup from holding a process, which is said before one is made", () => {
    const cgroupsPath = `${path}-inner`;
    const container = create({ pids: { limit: 9 } }, { cgroupsPath });
    container.init.end();
    const { unified } = container.paths;
    mkdirSync(`${unified}/below`);
    writeFileSync(`${unified}/cgroup.subtree_control`, "+pids");
    expect(errorOf(() => create(undefined, { cgroupsPath })).message).toContain(
      "has controllers for its children (pids)",
    );
  });

  test("of a domain cannot be had in a threaded tree, which is said", () => {
    mkdirSync(`${above}/t`, { recursive: true });
    writeFileSync(`${above}/t/cgroup.type`, "threaded");
    bench.later(() => {
      rmdirSync(`${above}/t`);
      rmdirSync(above);
    });
    const cgroupsPath = `${path}/c`;
    expect(errorOf(() => create({ memory: { limit: 1 << 20 } }, { cgroupsPath })).message).toContain(
      "domain invalid",
    );
    const container = bench.plan({ pids: { limit: 5 } }, cgroupsPath);
    bench.act(container.before);
    expect(readFileSync(`${above}/c/cgroup.type`, "utf8")).toBe("threaded\n");
    expect(readFileSync(`${above}/c/pids.max`, "utf8")).toBe("5\n");
    driver.remove(container.paths);
  });
});

describe("a further process", () => {
  test("joins the init's cgroup where the container's has controllers for its children", () => {
    const container = create();
    const { unified } = container.paths;
    mkdirSync(`${unified}/init`);
    writeFileSync(`${unified}/init/cgroup.procs`, String(container.init.pid));
    writeFileSync(`${unified}/cgroup.subtree_control`, "+pids +memory");
    const later = container.exec("exec sleep 60");
    expect(readFileSync(`${unified}/init/cgroup.procs`, "utf8").split("\n")).toContain(String(later.pid));
    expect(driver.processes(container.paths).toSorted()).toEqual([container.init.pid, later.pid].toSorted());
  });

  test("is counted in a container that has made itself threaded", () => {
    const container = create();
    const { unified } = container.paths;
    mkdirSync(`${unified}/threads`);
    writeFileSync(`${unified}/threads/cgroup.type`, "threaded");
    expect(readFileSync(`${unified}/cgroup.type`, "utf8")).toBe("domain threaded\n");
    writeFileSync(`${unified}/threads/cgroup.threads`, String(container.init.pid));
    expect(driver.processes(container.paths)).toEqual([container.init.pid]);
    driver.killAll(container.paths, 9);
    expect(bench.endOf(container.init)).toBe(137);
  });
});
