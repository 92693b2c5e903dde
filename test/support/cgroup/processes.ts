/** Section of the conformance suite of cgroup drivers: the processes of a container, its freezer, signals to all. */

import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { SIGKILL } from "../../../src/kernel/constants.ts";
import { readTextIfAny } from "../../../src/kernel/file.ts";
import { type Bench, type Container, errorOf } from "./bench.ts";

const [SIGUSR1, SIGTERM] = [10, 15];
/** Makes processes as fast as it is let, each of which does the same, up to the pids limit. */
const FORK_BOMB = "f() { while :; do (f) & sleep 0.01; done; }; f 2>/dev/null";

/** A directory below the container's in each hierarchy, made as a container makes one for itself. */
function makeBelow({ paths }: Container, name: string): string {
  const directories = [...new Set(Object.values(paths))];
  for (const directory of directories) {
    mkdirSync(`${directory}/${name}`, { recursive: true });
  }
  return directories
    .map((directory) => (directory === paths.cpuset ? copyCpuset(directory, name) : directory))
    .map((directory) => `echo 0 > ${directory}/${name}/cgroup.procs`)
    .join(" && ");
}

/** A cpuset of v1 takes no process before it has CPUs and memory. */
function copyCpuset(directory: string, name: string): string {
  const levels = name.split("/").map((_part, index, parts) => parts.slice(0, index + 1).join("/"));
  for (const level of levels) {
    for (const file of ["cpuset.cpus", "cpuset.mems"])
      Bun.write(`${directory}/${level}/${file}`, readFileSync(`${directory}/${file}`, "utf8"));
  }
  return directory;
}

export function processesSection(bench: Bench): void {
  const { create, run, until, endOf, driver, has } = bench;
  const sleeps = (container: Container): void =>
    until("it says so", () => container.init.output().includes("ready"));

  describe("processes", () => {
    test("are those in the cgroup and in the ones that the container made below it", () => {
      const container = create();
      const join = makeBelow(container, "a/b");
      const below = container.exec(`${join} && echo ready && exec sleep 60`);
      until("it moved", () => below.output() !== "");
      expect(below.output()).toBe("ready\n");
      expect(driver.processes(container.paths).toSorted()).toEqual(
        [container.init.pid, below.pid].toSorted(),
      );
      driver.killAll(container.paths, SIGKILL);
      expect(endOf(below)).toBe(128 + SIGKILL);
      until("nobody is left", () => driver.processes(container.paths).length === 0);
    });

    test("are none of a container that is gone, and nothing is said of it", () => {
      const { paths, init } = create();
      init.end();
      driver.remove(paths);
      expect(driver.processes(paths)).toEqual([]);
      driver.killAll(paths, SIGKILL);
      driver.thaw(paths);
      expect(driver.isFrozen(paths)).toBe(false);
      driver.remove(paths);
    });
  });

  describe.skipIf(!has.v1("freezer") && !has.unified)("the freezer", () => {
    test("stops every process, those below too, and lets them go on", () => {
      const container = run("while :; do :; done");
      const join = makeBelow(container, "a");
      const below = container.exec(`${join} && while :; do :; done`);
      const used = (): number => container.count("cpuTime");
      until("both run", () => used() > 0.05);
      driver.freeze(container.paths);
      expect(driver.isFrozen(container.paths)).toBe(true);
      // The kernel may still have to add up what was used before.
      let before = used();
      until("it adds up no more", () => {
        const earlier = before;
        Bun.sleepSync(20);
        before = used();
        return before === earlier;
      });
      Bun.sleepSync(50);
      expect(used()).toBe(before);
      driver.thaw(container.paths);
      expect(driver.isFrozen(container.paths)).toBe(false);
      until("they run again", () => used() > before + 0.02);
      expect(below.ended()).toBeUndefined();
      // Neither is an error where it is so already.
      driver.thaw(container.paths);
      driver.freeze(container.paths);
      driver.freeze(container.paths);
      expect(driver.isFrozen(container.paths)).toBe(true);
    });

    test("keeps nobody alive: a frozen container is killed, and removed", () => {
      const container = run("echo ready; exec sleep 60");
      sleeps(container);
      driver.freeze(container.paths);
      driver.killAll(container.paths, SIGKILL);
      expect(endOf(container.init)).toBe(128 + SIGKILL);
      driver.remove(container.paths);
    });

    test("keeps nobody alive that the container has frozen in a cgroup of its own", () => {
      const container = run("exec sleep 60");
      const below = container.exec(`${makeBelow(container, "own")} && echo ready && exec sleep 60`);
      until("it is below", () => below.output() === "ready\n");
      const own = Object.fromEntries(
        Object.entries(container.paths).map(([key, path]) => [key, `${path}/own`]),
      );
      driver.freeze(own);
      driver.killAll(container.paths, SIGKILL);
      expect(endOf(below)).toBe(128 + SIGKILL);
      driver.remove(container.paths);
    });

    test("leaves the limits of a frozen container to be changed", () => {
      const container = create();
      driver.freeze(container.paths);
      container.update({ pids: { limit: 5 } });
      expect(container.read("pids", "pids.max")).toBe("5");
      expect(driver.isFrozen(container.paths)).toBe(true);
    });
  });

  describe("killAll", () => {
    test("ends what keeps forking", () => {
      const container = run(FORK_BOMB, { pids: { limit: 60 } });
      until("there are many", () => driver.processes(container.paths).length > 30);
      driver.killAll(container.paths, SIGKILL);
      until("nobody is left", () => driver.processes(container.paths).length === 0);
      // Where somebody else takes an empty cgroup away, there is no such file any more.
      for (const path of new Set(Object.values(container.paths)))
        expect(readTextIfAny(`${path}/cgroup.procs`) ?? "").toBe("");
    });

    test("sends any other signal to all, once", () => {
      const script =
        "n=0; trap 'n=$((n+1)); echo got $n' USR1; trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
      const container = run(script);
      const other = container.exec(script);
      sleeps(container);
      until("the other is ready", () => other.output().includes("ready"));
      driver.killAll(container.paths, SIGUSR1);
      for (const inside of [container.init, other])
        until("it heard", () => inside.output().includes("got 1"));
      driver.killAll(container.paths, SIGTERM);
      for (const inside of [container.init, other]) {
        expect(endOf(inside)).toBe(7);
        expect(inside.output()).not.toContain("got 2");
      }
    });

    test("leaves a frozen container frozen for any other signal, which it hears when it goes on", () => {
      const container = run("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
      sleeps(container);
      driver.freeze(container.paths);
      driver.killAll(container.paths, SIGTERM);
      expect(driver.isFrozen(container.paths)).toBe(true);
      expect(container.init.ended()).toBeUndefined();
      driver.thaw(container.paths);
      expect(endOf(container.init)).toBe(7);
    });

    test("leaves others alone", () => {
      const [one, other] = [create(), create()];
      driver.killAll(one.paths, SIGKILL);
      expect(endOf(one.init)).toBe(128 + SIGKILL);
      expect(other.init.ended()).toBeUndefined();
      expect(driver.processes(other.paths)).toEqual([other.init.pid]);
    });
  });

  test("a driver says what it does not know how to do", () => {
    expect(errorOf(() => driver.act?.("nonsense", {}, { pid: undefined })).message).toContain("nonsense");
  });
}
