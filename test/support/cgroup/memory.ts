/** Section of the conformance suite of cgroup drivers: `linux.resources.memory`. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import type { LinuxMemory } from "../../../src/spec/runtime/resources.ts";
import { type Bench, type Container, where } from "./bench.ts";
import { sendWithoutReader } from "./programs.ts";

const MIB = 1 << 20;
/** Ends with 0, having used 1.5 times 2^`power` bytes of its own. */
const eat = (power: number): string =>
  `awk 'BEGIN { x = "0123456789abcdef"; for (i = 4; i < ${power}; i++) x = x x }'`;
/** Uses that much, and stays. */
const hold = (power: number): string =>
  `exec awk 'BEGIN { x = "0123456789abcdef"; for (i = 4; i < ${power}; i++) x = x x; print "holds"; fflush(); while (1) system("sleep 60") }'`;
const KILLED = 137;
/** What v1 shows for no limit at all: the largest number of pages, in bytes. */
const UNLIMITED = 1n << 62n;

export function memorySection(bench: Bench): void {
  const { create, until, endOf, has, driver, anyPath } = bench;
  /** A limit on memory that swap does not soften. */
  const hard = (limit: number): LinuxMemory => (has.swapLimit ? { limit, swap: limit } : { limit });
  const limitOf = (container: Container): string =>
    container.read("memory", "memory.limit_in_bytes", "memory.max");
  const isUnlimited = (limit: string): boolean => limit === "max" || BigInt(limit) >= UNLIMITED;

  describe.skipIf(!has.controller("memory"))("memory", () => {
    test("limit: who needs more is killed, and counted; who needs less is not", () => {
      const container = create({ memory: hard(16 * MIB) });
      expect(endOf(container.exec(eat(20)))).toBe(0);
      expect([container.count("memoryKills"), driver.oomKills(container.paths)]).toEqual([0, 0]);
      expect(endOf(container.exec(eat(26)))).toBe(KILLED);
      const kills = container.count("memoryKills");
      expect(kills).toBeGreaterThan(0);
      expect(driver.oomKills(container.paths)).toBe(kills);
      expect(container.init.ended()).toBeUndefined();
    });

    test("limit: of 512 KiB is enough for an init", () => {
      const container = create({ memory: { limit: 512 << 10 } }, { work: "exit 7" });
      container.init.go();
      expect(endOf(container.init)).toBe(7);
    });

    test("limit: holds for cgroups that are made below, whatever useHierarchy says", () => {
      const container = create({ memory: { ...hard(16 * MIB), useHierarchy: true } });
      const below = `${container.paths.memory ?? container.paths.unified}/below`;
      mkdirSync(below);
      expect(endOf(container.exec(`echo 0 > ${below}/cgroup.procs && exec ${eat(26)}`))).toBe(KILLED);
    });

    test("limit: an update is felt at once, up and down, and -1 takes it away", () => {
      const container = create({ memory: hard(8 * MIB) });
      expect(endOf(container.exec(eat(23)))).toBe(KILLED);
      container.update({ memory: hard(64 * MIB) });
      expect(endOf(container.exec(eat(23)))).toBe(0);
      container.update({ memory: hard(8 * MIB) });
      expect(endOf(container.exec(eat(23)))).toBe(KILLED);
      container.update({ memory: { limit: -1 } });
      expect(isUnlimited(limitOf(container))).toBe(true);
      if (has.swapLimit)
        expect(isUnlimited(container.read("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"))).toBe(
          true,
        );
      expect(endOf(container.exec(eat(23)))).toBe(0);
    });

    test("0 is not set, nor is disableOOMKiller false", () => {
      const nothing = { limit: 0, swap: 0, reservation: 0, kernel: 0, kernelTCP: 0, disableOOMKiller: false };
      const container = create({ memory: nothing });
      expect(container.part.warnings).toEqual([]);
      expect(isUnlimited(limitOf(container))).toBe(true);
      container.update({ memory: { limit: 64 * MIB } });
      container.update({ memory: nothing });
      expect(limitOf(container)).toBe(String(64 * MIB));
    });

    test.skipIf(!has.swapLimit)("swap: is memory and swap together, whichever has to change first", () => {
      const container = create({ memory: { limit: 64 * MIB, swap: 128 * MIB } });
      const both = (): number[] => {
        const limit = Number(limitOf(container)) / MIB;
        const swap = Number(container.read("memory", "memory.memsw.limit_in_bytes", "memory.swap.max")) / MIB;
        return [limit, has.v1("memory") ? swap : limit + swap];
      };
      expect(both()).toEqual([64, 128]);
      for (const [limit, swap] of [
        [256, 512],
        [16, 24],
        [100, 100],
      ] as const) {
        container.update({ memory: { limit: limit * MIB, swap: swap * MIB } });
        expect(both()).toEqual([limit, swap]);
      }
      const less = { memory: { limit: 64 * MIB, swap: 32 * MIB } };
      expect(() => container.update(less)).toThrow("less than memory.limit");
      expect(() => create(less)).toThrow("less than memory.limit");
      expect(both()).toEqual([100, 100]);
    });

    test.skipIf(!has.swap || !has.swapLimit)("swap: takes what memory does not, as far as it reaches", () => {
      const file = `/dev/shm/ctr-bun-swap-${process.pid}`;
      const write = `dd if=/dev/zero of=${file} bs=1M count=24 2>/dev/null`;
      for (const swap of [64 * MIB, -1]) {
        const container = create({ memory: { limit: 12 * MIB, swap } });
        expect(container.sh(write).code).toBe(0);
        expect(container.count("swap")).toBeGreaterThan(8 * MIB);
        expect(container.count("memoryKills")).toBe(0);
        rmSync(file);
      }
      const container = create({ memory: hard(12 * MIB) });
      expect(container.sh(write).code).not.toBe(0);
      expect([container.count("swap"), container.count("memoryKills") > 0]).toEqual([0, true]);
      rmSync(file, { force: true });
    });

    test("reservation: is given to the kernel", () => {
      const container = create({ memory: { reservation: 32 * MIB } });
      expect(container.read("memory", "memory.soft_limit_in_bytes", "memory.low")).toBe(String(32 * MIB));
    });

    where(!has.v1("memory") && anyPath, has.swap)(
      "reservation: is spared while others are swapped out",
      () => {
        const above = `/ctr-bun-suite-${process.pid}`;
        const spared = create({ memory: { reservation: 24 * MIB } }, { cgroupsPath: `${above}/spared` });
        const other = create(undefined, { cgroupsPath: `${above}/other` });
        const directory = `${bench.subject.host.cgroup.unified}${above}`;
        const files = ["spared", "other", "more"].map((name) => `/dev/shm/ctr-bun-${name}-${process.pid}`);
        const write = (file: string | undefined): string =>
          `dd if=/dev/zero of=${file} bs=1M count=16 2>/dev/null`;
        expect(spared.sh(write(files[0])).code).toBe(0);
        expect(other.sh(write(files[1])).code).toBe(0);
        bench.later(() => rmdirSync(directory));
        writeFileSync(`${directory}/memory.max`, String(40 * MIB));
        expect(other.sh(write(files[2])).code).toBe(0);
        expect(other.count("swap")).toBeGreaterThan(4 * MIB);
        expect(spared.count("swap")).toBe(0);
        for (const file of files) rmSync(file);
      },
    );

    where(has.v1("memory"))("swappiness: is given to the kernel, from 0 to 100", () => {
      const container = create({ memory: { swappiness: 7 } });
      expect(container.read("memory", "memory.swappiness")).toBe("7");
      container.update({ memory: { swappiness: 0 } });
      expect(container.read("memory", "memory.swappiness")).toBe("0");
      expect(() => create({ memory: { swappiness: 101 } })).toThrow("must be from 0 to 100");
    });

    where(has.v1("memory"))("disableOOMKiller: who needs more waits until there is more", () => {
      const container = create({ memory: { ...hard(8 * MIB), disableOOMKiller: true } });
      const hungry = container.exec(eat(24));
      until("it is under_oom", () => /^under_oom 1$/m.test(container.read("memory", "memory.oom_control")));
      expect([hungry.ended(), container.count("memoryKills")]).toEqual([undefined, 0]);
      container.update({ memory: hard(64 * MIB) });
      expect(endOf(hungry)).toBe(0);
      expect(container.count("memoryKills")).toBe(0);
    });

    where(has.v1("memory"), has.kernelTcp)(
      "kernelTCP: a socket keeps no more than that of what nobody reads",
      () => {
        const kept = (kernelTCP: number): number => {
          const container = create({ memory: { kernelTCP } });
          expect(endOf(container.exec(sendWithoutReader))).toBe(0);
          return Number(container.read("memory", "memory.kmem.tcp.max_usage_in_bytes"));
        };
        // The kernel sees that it is past the limit, and then lets nothing more in.
        expect(kept(64 << 10)).toBeLessThan(256 << 10);
        expect(kept(1 << 30)).toBeGreaterThan(512 << 10);
      },
    );

    test("checkBeforeUpdate: a limit below what is used is refused, and all is as it was", () => {
      const container = create({ memory: hard(64 * MIB), cpu: { shares: 512 } });
      const holder = container.exec(hold(23));
      until("memory is held", () => holder.output() === "holds\n");
      const files = (): string[] => [
        limitOf(container),
        container.read("cpu", "cpu.shares", "cpu.weight"),
        container.read("pids", "pids.max"),
      ];
      const before = files();
      const memory = { ...hard(1 * MIB), checkBeforeUpdate: true };
      expect(() => container.update({ cpu: { shares: 2048 }, pids: { limit: 9 }, memory })).toThrow(
        /no more than what is used now|unable to set memory limit to 1048576 \(current usage: \d+|memsw.limit_in_bytes to 1048576/,
      );
      expect(files()).toEqual(before);
      expect(holder.ended()).toBeUndefined();
      container.update({ memory: { ...hard(48 * MIB), checkBeforeUpdate: true } });
      expect(limitOf(container)).toBe(String(48 * MIB));
    });
  });
}
