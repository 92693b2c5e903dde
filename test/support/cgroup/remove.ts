/** Section of the conformance suite of cgroup drivers: taking a container's cgroup away, and nothing else. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { removeCgroups } from "../../../drivers/cgroup-common/tree.ts";
import { SIGKILL } from "../../../src/kernel/constants.ts";
import { type Bench, type Container, where } from "./bench.ts";

/** Levels that a container may have made below its own cgroup. */
const DEEP = 120;

export function removeSection(bench: Bench): void {
  const { create, run, until, driver, anyPath } = bench;
  const directoriesOf = ({ paths }: Container): string[] => [...new Set(Object.values(paths))];
  const isGone = (container: Container): boolean =>
    !directoriesOf(container).some((path) => existsSync(path));

  describe("remove", () => {
    test("waits for the last process", () => {
      const container = run("echo ready; exec sleep 0.2");
      until("it runs", () => container.init.output() === "ready\n");
      driver.remove(container.paths);
      expect(isGone(container)).toBe(true);
    });

    test("takes what the container made below, whatever its name, however deep", () => {
      const container = create();
      for (const directory of directoriesOf(container)) {
        for (const name of ["plain", "with space", "-rf", "käse", "a\tb", "cgroup.procs ", "x".repeat(200)])
          mkdirSync(`${directory}/${name}`);
        for (const bytes of [[0xff, 0xfe], [0xc3, 0x28], [0x80], [0x1b, 0x5b]])
          mkdirSync(Buffer.concat([Buffer.from(`${directory}/odd-`), Buffer.from(bytes)]));
        mkdirSync(`${directory}/${Array.from({ length: DEEP }, () => "d").join("/")}`, { recursive: true });
      }
      container.init.end();
      driver.remove(container.paths);
      expect(isGone(container)).toBe(true);
    });

    test("says nothing of what is not there, in part or at all", () => {
      const container = create();
      container.init.end();
      // systemd may be quicker.
      removeCgroups(directoriesOf(container).slice(0, 1));
      driver.remove(container.paths);
      expect(isGone(container)).toBe(true);
      driver.remove(container.paths);
    });

    where(anyPath)("leaves what is above and beside, with the processes in it", () => {
      const above = `/ctr-bun-suite-${process.pid}`;
      const [one, other] = ["one", "other"].map((name) =>
        create(undefined, { cgroupsPath: `${above}/${name}` }),
      );
      if (one === undefined || other === undefined) throw new Error("two containers");
      bench.later(() => {
        for (const directory of directoriesOf(one)) rmdirSync(directory.slice(0, -"/one".length));
      });
      driver.killAll(one.paths, SIGKILL);
      driver.remove(one.paths);
      expect(isGone(one)).toBe(true);
      expect(other.init.ended()).toBeUndefined();
      for (const directory of directoriesOf(other)) expect(existsSync(directory)).toBe(true);
    });
  });
}
