/** Section of the conformance suite of cgroup drivers: being told what happens to a container's cgroup. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { CgroupEvent, EventWatch } from "../../../src/driver.ts";
import { POLLIN, SIGKILL } from "../../../src/kernel/constants.ts";
import { poll } from "../../../src/kernel/poll.ts";
import type { Bench, Container } from "./bench.ts";

const MIB = 1 << 20;
export function eventsSection(bench: Bench): void {
  const { create, until, endOf, driver, has } = bench;

  /** Watches while `use` runs; the watch, and what it told so far. */
  function watching(
    container: Container,
    use: (watch: EventWatch, told: () => readonly CgroupEvent[]) => void,
  ): void {
    const watch = driver.watchEvents(container.paths);
    const all: CgroupEvent[] = [];
    try {
      use(watch, () => {
        all.push(...(watch.take() ?? []));
        return all;
      });
    } finally {
      watch.close();
    }
  }

  /** Whether one of its descriptors can be read within so many milliseconds. */
  const isReady = ({ fds }: EventWatch, wait: number): boolean =>
    poll(
      fds.map((fd) => ({ fd, events: POLLIN })),
      wait,
    ).some((events) => events === POLLIN);

  describe("events tell", () => {
    test.skipIf(!has.controller("memory"))("who was killed for memory, and that the cgroup is gone", () => {
      const limit = 16 * MIB;
      const container = create({ memory: has.swapLimit ? { limit, swap: limit } : { limit } });
      watching(container, (watch, told) => {
        expect(told()).toEqual([]);
        const hungry = container.exec(
          `awk 'BEGIN { x = "0123456789abcdef"; for (i = 4; i < 26; i++) x = x x }'`,
        );
        expect(endOf(hungry)).toBe(128 + SIGKILL);
        expect(isReady(watch, 20_000)).toBe(true);
        until("it says so", () => told().some(({ type }) => type === "oom"));
        driver.killAll(container.paths, SIGKILL);
        driver.remove(container.paths);
        expect(existsSync(container.paths.memory ?? container.paths.unified ?? "")).toBe(false);
        until("it says that the cgroup is gone", () => watch.take() === undefined);
      });
    });

    test.skipIf(!has.controller("pids"))("that the pids limit was met", () => {
      const container = create({ pids: { limit: 3 } });
      watching(container, (watch, told) => {
        container.sh("sleep 60 & sleep 60 & wait");
        // On v1 the kernel wakes nobody for it.
        if (has.version === 2) expect(isReady(watch, 20_000)).toBe(true);
        until("it says so", () =>
          told().some(({ type, data }) => type === "pids.events" && Number(data?.max) > 0),
        );
      });
    });

    if (has.version === 2) {
      test("that it was frozen, and thawed", () => {
        const container = create();
        watching(container, (_watch, told) => {
          const says = (frozen: number): boolean =>
            told().some(({ type, data }) => type === "cgroup.events" && data?.frozen === frozen);
          driver.freeze(container.paths);
          until("it says that it is frozen", () => says(1));
          driver.thaw(container.paths);
          until("it says that it is thawed", () => says(0));
        });
      });
    }
  });
}
