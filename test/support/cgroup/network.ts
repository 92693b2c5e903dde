/** Section of the conformance suite of cgroup drivers: `linux.resources.network`, which v1 alone has. */
import { expect, test } from "bun:test";
import type { LinuxNetwork } from "../../../src/spec/runtime/resources.ts";
import { type Bench, errorOf, where } from "./bench.ts";

/** 1:1, as tc writes it: of the bands of its qdisc prio the one that nothing gets by itself. */
const CLASS = 0x10001;
const PING = "busybox ping -c 1 -w 5 127.0.0.1 >/dev/null";
/** busybox has one of its own, which its shell takes before any other. */
const TC = Bun.which("tc");
/** A script that sends a packet in a network namespace of its own, and prints in its last line how many had the class. */
const COUNT = {
  iptables: `iptables -A OUTPUT -m cgroup --cgroup ${CLASS} && ${PING} && iptables -vnxL OUTPUT | awk '/cgroup/ { print $1 }'`,
  tc: `${TC} qdisc add dev lo root handle 1: prio && ${TC} filter add dev lo parent 1: protocol ip handle 1: cgroup && ${PING} && ${TC} -s class show dev lo | awk '/class prio 1:1/ { there = 1 } there && /Sent/ { print $4; exit }'`,
};

export function networkSection(bench: Bench): void {
  const { create, has } = bench;
  const { packetCounter } = has;

  where(has.version === 1, has.v1("net_cls") && packetCounter !== undefined)(
    "network.classID: packets of the container have it",
    () => {
      const count = COUNT[packetCounter ?? "tc"];
      const script = `unshare -n sh -c "$(cat <<'END'\nip link set lo up\n${count}\nEND\n)"`;
      const packets = (classID: number): number => {
        const { out } = create({ network: { classID } }).sh(script);
        const number = out.trim().split("\n").at(-1) ?? "";
        if (!/^\d+$/.test(number)) throw new Error(out);
        return Number(number);
      };
      expect(packets(CLASS)).toBeGreaterThan(0);
      expect(packets(CLASS + 1)).toBe(0);
    },
  );

  where(has.version === 1, has.v1("net_cls"))("network.classID: changes, and 0 is not set", () => {
    const container = create({ network: { classID: CLASS } });
    container.update({ network: { classID: CLASS + 1 } });
    expect(container.read("net_cls", "net_cls.classid")).toBe(String(CLASS + 1));
    container.update({ network: { classID: 0 } });
    expect(container.read("net_cls", "net_cls.classid")).toBe(String(CLASS + 1));
  });

  where(has.version === 1, has.v1("net_prio"))(
    "network.priorities: the kernel has them, by interface",
    () => {
      const container = create({ network: { priorities: [{ name: "lo", priority: 5 }] } });
      expect(container.read("net_prio", "net_prio.ifpriomap")).toMatch(/^lo 5$/m);
      container.update({ network: { priorities: [{ name: "lo", priority: 7 }] } });
      expect(container.read("net_prio", "net_prio.ifpriomap")).toMatch(/^lo 7$/m);
      const error = errorOf(() =>
        container.update({ network: { priorities: [{ name: "nowhere0", priority: 1 }] } }),
      );
      expect(error.field).toBe("linux.resources.network.priorities[0]");
      expect(error.hint).toContain("no network interface nowhere0");
    },
  );

  // The map is of the interfaces of the host's network namespace: only where nobody else uses them.
  if (packetCounter === "tc" && has.v1("net_prio")) {
    test("network.priorities: packets of the container have them", () => {
      const bands = "bands 3 priomap 1 1 1 1 1 2 1 1 1 1 1 1 1 1 1 1";
      const tc = (...args: string[]): string => Bun.spawnSync(["tc", ...args]).stdout.toString();
      tc("qdisc", "add", "dev", "lo", "root", "handle", "1:", "prio", ...bands.split(" "));
      bench.later(() => tc("qdisc", "del", "dev", "lo", "root"));
      const packets = (): number =>
        Number(
          /class prio 1:3[\s\S]*?Sent \d+ bytes (\d+) pkt/.exec(tc("-s", "class", "show", "dev", "lo"))?.[1],
        );
      expect(create({ network: { priorities: [{ name: "lo", priority: 4 }] } }).sh(PING).code).toBe(0);
      expect(packets()).toBe(0);
      expect(create({ network: { priorities: [{ name: "lo", priority: 5 }] } }).sh(PING).code).toBe(0);
      expect(packets()).toBeGreaterThan(0);
    });
  }

  where(!has.v1("net_cls") && !has.v1("net_prio"))(
    "network: is ignored with a warning on v2, and an error on v1, where nothing holds it",
    () => {
      const fields: readonly (readonly [field: string, network: LinuxNetwork])[] = [
        ["classID", { classID: CLASS }],
        ["priorities", { priorities: [{ name: "lo", priority: 5 }] }],
      ];
      for (const [field, network] of fields) {
        if (has.version === 2) {
          const container = create({ network });
          for (const warnings of [container.part.warnings, container.update({ network })])
            expect(warnings.join()).toContain(`linux.resources.network.${field} is ignored`);
          continue;
        }
        const error = errorOf(() => create({ network }));
        expect(error.field).toStartWith(`linux.resources.network.${field}`);
        expect(error.message).toContain("is not mounted on this host");
      }
    },
  );
}
