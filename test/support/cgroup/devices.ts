/** Section of the conformance suite of cgroup drivers: `linux.resources.devices`. */
import { describe, expect, test } from "bun:test";
import type { LinuxDeviceCgroup } from "../../../src/spec/runtime/resources.ts";
import { type Bench, type Container, errorOf, where } from "./bench.ts";

/** /dev/kmsg: on every host, and not among the devices that are always allowed. */
const KMSG = { type: "c", major: 1, minor: 11 } as const;
const DENY: LinuxDeviceCgroup = { allow: false, access: "rwm" };

/** What can be done with /dev/kmsg. */
function accessTo(container: Container): string {
  return container.sh("(: < /dev/kmsg) 2>/dev/null && printf r; (: > /dev/kmsg) 2>/dev/null && printf w; :")
    .out;
}

export function devicesSection(bench: Bench): void {
  const { create, run, until, endOf, directory, driver } = bench;
  const withRules = (...rules: LinuxDeviceCgroup[]): Container => create({ devices: [DENY, ...rules] });

  describe("devices", () => {
    test("the ones that every container needs are allowed, and making any node; others are refused", () => {
      const container = withRules();
      const needed = ": < /dev/null && : > /dev/null && : < /dev/zero && : < /dev/full && : < /dev/urandom";
      const node = `${directory}/node`;
      const { code, out } = container.sh(`${needed} && mknod ${node} c 1 11 && echo made; : < ${node}`);
      expect(code).not.toBe(0);
      expect(out).toStartWith("made\n");
      expect(out.toLowerCase()).toContain("not permitted");
      expect(accessTo(container)).toBe("");
      expect(driver.devices(container.paths).length).toBeGreaterThan(0);
    });

    test("nothing at all is asked for: the same", () => {
      expect(accessTo(create())).toBe("");
    });

    test("allowed to be read, written, both", () => {
      for (const access of ["r", "w", "rw"]) {
        const container = withRules({ allow: true, ...KMSG, access });
        expect(accessTo(container)).toBe(access);
      }
      expect(accessTo(withRules({ allow: true, ...KMSG }))).toBe("rw");
    });

    test("wildcards: all minor numbers, all major numbers, all of a type, all", () => {
      const container = withRules({ allow: true, type: "c", major: 1, access: "r" });
      expect(accessTo(container)).toBe("r");
      for (const [rule, access] of [
        [{ allow: true, type: "c", major: -1, minor: 11, access: "w" }, "w"],
        [{ allow: true, type: "c", access: "rw" }, "rw"],
        [{ allow: true, type: "b", access: "rw" }, ""],
        [{ allow: true, type: "a", access: "rwm" }, "rw"],
        [{ allow: true, type: "c", major: 2, access: "rw" }, ""],
      ] as const) {
        container.update({ devices: [DENY, rule] });
        expect(accessTo(container)).toBe(access);
      }
    });

    where(bench.anyPath)("all, in a cgroup that an earlier container has left with less", () => {
      const cgroupsPath = `/ctr-bun-left-${process.pid}`;
      const earlier = create({}, { cgroupsPath });
      earlier.init.end();
      until("nobody is in it", () => driver.processes(earlier.paths).length === 0);
      expect(accessTo(create({ devices: [{ allow: true }] }, { cgroupsPath }))).toBe("rw");
    });

    test("later rules win over earlier ones", () => {
      const [allowed, denied] = [
        { allow: true, ...KMSG, access: "rw" },
        { allow: false, ...KMSG, access: "w" },
      ];
      const container = withRules(allowed, denied);
      expect(accessTo(container)).toBe("r");
      for (const [rules, access] of [
        [[DENY, denied, allowed], "rw"],
        [[DENY, allowed, DENY], ""],
        [[{ allow: true }, { allow: false, ...KMSG, access: "r" }], "w"],
      ] as const) {
        container.update({ devices: [...rules] });
        expect(accessTo(container)).toBe(access);
      }
    });

    test("an update takes the place of all rules, for processes that run", () => {
      const container = withRules({ allow: true, ...KMSG, access: "r" });
      expect(accessTo(container)).toBe("r");
      container.update({ devices: [DENY, { allow: true, ...KMSG, access: "w" }] });
      expect(accessTo(container)).toBe("w");
      container.update({ devices: [{ allow: true }] });
      expect(accessTo(container)).toBe("rw");
      container.update({ devices: [DENY] });
      expect(accessTo(container)).toBe("");
      container.update({ pids: { limit: 100 } });
      expect(accessTo(container)).toBe("");
    });

    test("a device that is allowed before and after an update is so all the time", () => {
      const [one, other] = [
        { allow: true, ...KMSG, access: "r" },
        { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
      ] as const;
      const container = run("n=0; while :; do : < /dev/kmsg || exit 1; n=$((n+1)); echo $n; done", {
        devices: [DENY, one],
      });
      const rounds = (): number => Number(container.init.output().trim().split("\n").at(-1));
      until("it opens the device", () => rounds() > 0);
      const before = rounds();
      // Where an update takes long, as many are not needed: it opens the device the oftener meanwhile.
      const end = performance.now() + 3000;
      for (let at = 0; at < 40 && (at < 8 || performance.now() < end); at++)
        container.update({ devices: at % 2 ? [DENY, one] : [DENY, one, other] });
      until("it still does", () => rounds() > before);
      expect(container.init.ended()).toBeUndefined();
      container.update({ devices: [DENY] });
      expect(endOf(container.init)).not.toBe(0);
    });

    test("an update that is refused changes neither devices nor limits", () => {
      const container = create({
        devices: [DENY, { allow: true, ...KMSG, access: "r" }],
        pids: { limit: 50 },
      });
      const held = driver.devices(container.paths);
      // No version can hold the one, and v1 not the other.
      const bad: LinuxDeviceCgroup[][] = [
        [{ allow: true }, { allow: false, type: "c", major: 2 ** 33, access: "r" }],
        ...(bench.has.v1("devices") ? [[DENY, range, hole]] : []),
      ];
      for (const devices of bad) {
        expect(errorOf(() => container.update({ devices, pids: { limit: 40 } })).field).toBe(
          "linux.resources.devices",
        );
        expect(driver.devices(container.paths)).toEqual(held);
        expect(accessTo(container)).toBe("r");
        expect(container.read("pids", "pids.max")).toBe("50");
      }
    });

    const range = { allow: true, type: "c", major: 1, access: "rw" } as const;
    const hole = { allow: false, ...KMSG, access: "r" };
    if (bench.has.v1("devices")) {
      test("a hole in a range is refused, which the kernel would not hold", () => {
        const error = errorOf(() => withRules(range, hole));
        expect([error.code, error.field]).toEqual(["INVALID_CONFIG", "linux.resources.devices"]);
        expect(error.message).toContain("is a hole in c 1:*");
      });
    } else {
      test("a hole in a range is held", () => {
        expect(accessTo(withRules(range, hole))).toBe("w");
      });
    }
  });
}
