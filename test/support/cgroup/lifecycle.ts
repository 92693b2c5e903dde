/**
 * Section of the conformance suite of cgroup drivers: making a container's cgroup under any path, joining it, updates of
 * all or nothing.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { type Bench, type Container, errorOf, where } from "./bench.ts";

export function lifecycleSection(bench: Bench): void {
  const { create, plan, driver, subject, endOf, anyPath } = bench;
  const { cgroup } = subject.host;

  /** The process is in the container's cgroup in each hierarchy. */
  function expectInside({ paths }: Container, pid: number): void {
    const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
    const places = new Map(
      lines.flatMap((line) => {
        const [, names = "", path = ""] = line.split(":");
        return names.split(",").map((name) => [name === "" ? "unified" : name, path] as const);
      }),
    );
    expect(Object.keys(paths).length).toBeGreaterThan(0);
    for (const [name, directory] of Object.entries(paths)) {
      const root = name === "unified" ? cgroup.unified : cgroup.controllers[name];
      expect(`${root}${places.get(name)}`).toBe(directory);
    }
  }

  describe("a new container", () => {
    test("is in its cgroup in every hierarchy, as is a process that joins later", () => {
      const container = create();
      expectInside(container, container.init.pid);
      const later = container.exec("sleep 60");
      expectInside(container, later.pid);
      expect(driver.processes(container.paths).toSorted()).toEqual(
        [container.init.pid, later.pid].toSorted(),
      );
    });

    test("is joined by descriptors alone", () => {
      const container = create();
      const later = driver.join(container.paths, subject.host, container.init.pid);
      for (const steps of [container.part.join, [...later.join, ...(later.inside ?? [])]]) {
        const named = steps
          .flatMap(({ rows }) => rows.flatMap(({ args }) => args))
          .filter((arg) => typeof arg === "string");
        expect(named.filter((text) => text !== "0")).toEqual([]);
      }
    });

    where(anyPath)("is at an absolute path, below what is there or not", () => {
      const above = `/ctr-bun-suite-${process.pid}`;
      const container = create(undefined, { cgroupsPath: `${above}/inner/../inner//c` });
      for (const [name, directory] of Object.entries(container.paths)) {
        const root = name === "unified" ? cgroup.unified : cgroup.controllers[name];
        expect(directory).toBe(`${root}${above}/inner/c`);
      }
      bench.later(() => {
        for (const directory of new Set(Object.values(container.paths))) {
          rmdirSync(directory.slice(0, -"/c".length));
          rmdirSync(directory.slice(0, -"/inner/c".length));
        }
      });
      expectInside(container, container.init.pid);
    });

    where(anyPath)("is at a relative path, near the caller", () => {
      const container = create(undefined, { cgroupsPath: `ctr-bun-suite-${process.pid}-relative` });
      for (const [name, directory] of Object.entries(container.paths)) {
        const root = name === "unified" ? cgroup.unified : cgroup.controllers[name];
        expect(directory).toStartWith(`${root}/`);
        expect(directory).toEndWith(`/ctr-bun-suite-${process.pid}-relative`);
      }
      expectInside(container, container.init.pid);
    });

    where(anyPath)("of no path is below /ctr-bun, each in its own", () => {
      const [one, other] = [create(), create()];
      for (const [name, directory] of Object.entries(one.paths)) {
        expect(directory).toContain("/ctr-bun/");
        expect(directory).not.toBe(other.paths[name] ?? "");
      }
      expect(driver.processes(one.paths)).toEqual([one.init.pid]);
    });

    where(anyPath)("is not made where others are, and they stay", () => {
      const cgroupsPath = `/ctr-bun-suite-${process.pid}`;
      const first = create(undefined, { cgroupsPath });
      const error = errorOf(() => create({ pids: { limit: 3 } }, { cgroupsPath }));
      expect([error.code, error.message]).toEqual([
        "CGROUP_BUSY",
        "container's cgroup is not empty: 1 process(es) found",
      ]);
      expect(first.init.ended()).toBeUndefined();
      expect(first.read("pids", "pids.max")).toBe("max");
      first.init.end();
      create(undefined, { cgroupsPath });
    });

    where(anyPath)("is not made in a cgroup that is frozen, in which nothing would ever begin", () => {
      const cgroupsPath = `/ctr-bun-suite-${process.pid}`;
      const frozen = create(undefined, { cgroupsPath });
      frozen.init.end();
      driver.freeze(frozen.paths);
      expect(errorOf(() => create(undefined, { cgroupsPath })).message).toContain("unexpectedly frozen");
      driver.thaw(frozen.paths);
      create(undefined, { cgroupsPath });
    });

    where(anyPath)("takes a directory that is there and free, and leaves it when it fails", () => {
      const cgroupsPath = `/ctr-bun-suite-${process.pid}`;
      const { paths } = plan(undefined, cgroupsPath);
      const directories = [...new Set(Object.values(paths))];
      for (const path of directories) mkdirSync(path);
      const inodes = directories.map((path) => statSync(path).ino);
      expect(() => create({ cpu: { cpus: "4095" } }, { cgroupsPath })).toThrow();
      expect(directories.map((path) => statSync(path).ino)).toEqual(inodes);
      const container = create(undefined, { cgroupsPath });
      expectInside(container, container.init.pid);
    });
  });

  test("an update that the kernel refuses half-way is taken back whole", () => {
    const container = create({
      cpu: { shares: 512, quota: 20_000, period: 50_000 },
      memory: { limit: 64 << 20 },
    });
    const state = (): Record<string, string> =>
      Object.fromEntries(
        [...new Set(Object.values(container.paths))].flatMap((directory) =>
          readdirSync(directory)
            .filter((file) =>
              /\.(max|min|low|high|weight|idle|cpus|mems|shares)$|limit_in_bytes$|_us$|max\.burst$/.test(
                file,
              ),
            )
            .filter((file) => !existsSync(`${directory}/${file}/.`))
            .map((file) => [`${directory}/${file}`, readFileSync(`${directory}/${file}`, "utf8")] as const),
        ),
      );
    const before = state();
    expect(Object.keys(before).length).toBeGreaterThan(4);
    const cpu = { shares: 300, quota: 30_000, period: 100_000, burst: 10_000, idle: 1 };
    const attempt = (more: LinuxResources): string | undefined =>
      errorOf(() => container.update({ cpu, pids: { limit: 5 }, memory: { limit: 1 << 30 }, ...more })).field;
    expect(attempt({ cpu: { ...cpu, cpus: "4095" } })).toBe("linux.resources.cpu.cpus");
    expect(state()).toEqual(before);
    const throttleReadBpsDevice = [{ major: 250, minor: 99, rate: 1 }];
    expect(attempt({ blockIO: { throttleReadBpsDevice } })).toBe(
      "linux.resources.blockIO.throttleReadBpsDevice[0]",
    );
    expect(state()).toEqual(before);
    expect(attempt({ memory: { limit: 64 << 20, swap: 32 << 20 } })).toBe("linux.resources.memory.swap");
    expect(state()).toEqual(before);
    container.update({ cpu, pids: { limit: 5 }, memory: { limit: 1 << 30 } });
    expect(state()).not.toEqual(before);
    expect(endOf(container.exec("exit 3"))).toBe(3);
  });
}
