/** What a plan refuses of network devices and of namespaces that are the host's: with the property and the words. */
import { describe, expect, test } from "bun:test";
import { errorLine } from "../../../src/error.ts";
import type { PlanFacts } from "../../../src/plan/input.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { NamespaceType } from "../../../src/spec/runtime/config.ts";
import { type Change, errorOf, planInput, smallConfig } from "./inputs.ts";

const MOUNT = { type: "mount" } as const;
const NET = { type: "network" } as const;

/** The line of the error that a plan of this config ends with. */
function refusal(change: Change, facts: Partial<PlanFacts> = {}): string {
  return errorLine(errorOf(() => makePlan(planInput(smallConfig(change), { facts }))));
}

describe("network devices", () => {
  const devices = { eth0: {} };
  const words = "linux.netDevices: unable to move network devices without a private NET namespace";

  test("take a network namespace that is not the host's", () => {
    expect(refusal({ linux: { namespaces: [MOUNT], netDevices: devices } })).toBe(words);
    const own = { ...NET, path: "/proc/1/ns/net" };
    const linux = { namespaces: [MOUNT, own], netDevices: devices };
    expect(refusal({ linux }, { hostsOwn: ["network"] })).toBe(words);
    expect(() => makePlan(planInput(smallConfig({ linux })))).not.toThrow();
  });

  test("have a name each, unless it is a template", () => {
    const named = (name: string) => ({ namespaces: [MOUNT, NET], netDevices: { a: { name }, b: { name } } });
    expect(refusal({ linux: named("x") })).toBe(
      'linux.netDevices["b"].name: the container\'s x is a already',
    );
    const same = { namespaces: [MOUNT, NET], netDevices: { a: { name: "b" }, b: {} } };
    expect(refusal({ linux: same })).toBe('linux.netDevices["b"].name: the container\'s b is a already');
    expect(() => makePlan(planInput(smallConfig({ linux: named("x%d") })))).not.toThrow();
  });

  test("an empty section asks for nothing", () => {
    const config = smallConfig({ linux: { namespaces: [MOUNT], netDevices: {} } });
    expect(() => makePlan(planInput(config))).not.toThrow();
  });
});

describe("a namespace that is joined by the path of ctr-bun's own counts as the host's", () => {
  const joined = (type: NamespaceType): Change["linux"] => ({
    namespaces: [MOUNT, { type, path: `/proc/self/ns/${type}` }],
  });
  const cases: readonly (readonly [type: NamespaceType, change: Change, words: string])[] = [
    [
      "network",
      { linux: { sysctl: { "net.ipv4.ip_forward": "1" } } },
      'linux.sysctl["net.ipv4.ip_forward"]: sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
    ],
    [
      "ipc",
      { linux: { sysctl: { "kernel.shmmax": "1" } } },
      'linux.sysctl["kernel.shmmax"]: sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace',
    ],
    ["uts", { hostname: "box" }, "hostname: setting it without a uts namespace would change the host"],
    ["uts", { domainname: "x.org" }, "domainname: setting it without a uts namespace would change the host"],
  ];
  test.each(cases)("%s", (type, change, words) => {
    const whole: Change = { ...change, linux: { ...joined(type), ...change.linux } };
    expect(refusal(whole, { hostsOwn: [type] })).toBe(words);
    expect(() => makePlan(planInput(smallConfig(whole)))).not.toThrow();
  });
});
