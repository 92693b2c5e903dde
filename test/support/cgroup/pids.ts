/** Section of the conformance suite of cgroup drivers: `linux.resources.pids`. */
import { describe, expect, test } from "bun:test";
import type { Bench } from "./bench.ts";

/** Three more processes at once, a word when they could be made, and their end. */
const THREE_MORE = 'for i in 1 2 3; do sleep 60 & all="$all $!"; done; echo made; kill $all; wait';

export function pidsSection(bench: Bench): void {
  const { create, endOf, has } = bench;
  const made = (output: string): boolean => output === "made\n";

  describe.skipIf(!has.controller("pids"))("pids", () => {
    test("limit: no process more can be made, and that is counted", () => {
      const container = create({ pids: { limit: 3 } });
      const script = container.exec(THREE_MORE);
      endOf(script);
      expect(script.output().toLowerCase()).toContain("fork");
      expect(container.count("forksRefused")).toBeGreaterThan(0);
    });

    test("limit: exactly as many can", () => {
      // The init, the shell, three more.
      const container = create({ pids: { limit: 5 } });
      expect(made(container.sh(THREE_MORE).out)).toBe(true);
      expect(container.count("forksRefused")).toBe(0);
    });

    test("limit: an update is felt at once, up and down", () => {
      const container = create({ pids: { limit: 3 } });
      container.update({ pids: { limit: 5 } });
      expect(made(container.sh(THREE_MORE).out)).toBe(true);
      container.update({ pids: { limit: 4 } });
      expect(made(container.sh(THREE_MORE).out)).toBe(false);
    });

    for (const limit of [0, 1]) {
      test(`limit: with ${limit} there is an init, and nobody else`, () => {
        const container = create({ pids: { limit } }, { work: ": $(:); echo made" });
        expect(() => container.exec("echo further")).toThrow("EAGAIN");
        expect(container.read("pids", "pids.max")).toBe(String(limit));
        container.init.go();
        expect(endOf(container.init)).not.toBe(0);
        expect(container.init.output().toLowerCase()).toContain("fork");
      });
    }

    test("limit: -1 is none, as one that is left out", () => {
      const container = create({ pids: { limit: -1 } });
      expect(container.read("pids", "pids.max")).toBe("max");
      expect(made(container.sh(THREE_MORE).out)).toBe(true);
      expect(create({ pids: {} }).read("pids", "pids.max")).toBe(bench.usualTasks);
      container.update({ pids: { limit: 3 } });
      container.update({ pids: {} });
      expect(container.read("pids", "pids.max")).toBe("3");
      container.update({ pids: { limit: -1 } });
      expect(made(container.sh(THREE_MORE).out)).toBe(true);
    });
  });
}
