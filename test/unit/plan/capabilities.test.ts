/** The five sets of capabilities: what of a config is granted, what is left out with a word, and how they are set. */
import { expect, test } from "bun:test";
import {
  allCapabilities,
  type CapabilitySets,
  grantable,
  grantedSets,
} from "../../../src/plan/capabilities.ts";
import { identitySteps } from "../../../src/plan/identity.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { Capabilities, Process } from "../../../src/spec/runtime/config.ts";
import { HOSTS, planInput, smallConfig, stepsOf } from "./inputs.ts";

const LAST = 40;
const ALL = { bits: allCapabilities(LAST), last: LAST };
const KILL = 1n << 5n;
const CHOWN = 1n;

function granted(capabilities: Capabilities | undefined, bits = ALL.bits): [CapabilitySets, string[]] {
  const warnings: string[] = [];
  return [grantedSets(capabilities, { bits, last: LAST }, warnings), warnings];
}

function steps(capabilities: Capabilities) {
  const process: Process = { user: { uid: 0, gid: 0 }, args: ["a"], cwd: "/", capabilities };
  return identitySteps(process, ALL, []);
}

test("capabilities are bits by their numbers", () => {
  const names = ["CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"];
  const [sets, warnings] = granted({ bounding: names, permitted: names, effective: names });
  const bits = CHOWN | KILL | (1n << 40n);
  expect(sets).toEqual({ bounding: bits, permitted: bits, effective: bits, inheritable: 0n, ambient: 0n });
  expect(warnings).toEqual([]);
  expect(granted(undefined)).toEqual([
    { bounding: 0n, permitted: 0n, effective: 0n, inheritable: 0n, ambient: 0n },
    [],
  ]);
});

test("names that Linux does not know, or in another case, are left out of all sets with one word", () => {
  const [sets, warnings] = granted({
    bounding: ["KILL", "cap_kill", "CAP_KILL"],
    permitted: ["CAP_OF_THE_FUTURE"],
  });
  expect(sets).toMatchObject({ bounding: KILL, permitted: 0n });
  expect(warnings).toEqual([
    "process.capabilities: ignoring unknown or unavailable capabilities: [CAP_OF_THE_FUTURE KILL cap_kill]",
  ]);
});

test("what ctr-bun itself does not have is left out of all sets with a word", () => {
  const names = ["CAP_KILL", "CAP_CHOWN"];
  const all = { bounding: names, permitted: names, effective: names, inheritable: names, ambient: names };
  const [sets, warnings] = granted(all, KILL);
  expect(sets).toEqual({
    bounding: KILL,
    permitted: KILL,
    effective: KILL,
    inheritable: KILL,
    ambient: KILL,
  });
  expect(warnings).toEqual([
    "process.capabilities: ignoring unknown or unavailable capabilities: [CAP_CHOWN]",
  ]);
});

test("what the kernel does not know is not to be had, in a user namespace either", () => {
  const [sets, warnings] = granted({ bounding: ["CAP_BPF", "CAP_KILL"] }, allCapabilities(38));
  expect(sets.bounding).toBe(KILL);
  expect(warnings.length).toBe(1);
  expect(grantable(HOSTS.hybrid, 38, true).bits).toBe(allCapabilities(38));
});

test("what the kernel's rules between the sets exclude is left out with a word", () => {
  const [sets, warnings] = granted({
    bounding: ["CAP_KILL", "CAP_CHOWN"],
    permitted: ["CAP_KILL"],
    effective: ["CAP_KILL", "CAP_CHOWN"],
    inheritable: ["CAP_KILL", "CAP_SYS_BOOT"],
    ambient: ["CAP_KILL", "CAP_CHOWN"],
  });
  expect(sets).toEqual({
    bounding: KILL | CHOWN,
    permitted: KILL,
    effective: KILL,
    inheritable: KILL,
    ambient: KILL,
  });
  expect(warnings.toSorted()).toEqual([
    "process.capabilities.ambient: left out, as not inheritable and permitted: CAP_CHOWN",
    "process.capabilities.effective: left out, as not permitted: CAP_CHOWN",
    "process.capabilities.inheritable: left out, as not in the bounding set: CAP_SYS_BOOT",
  ]);
});

test("ambient ones without any inheritable set mean nothing, as `spec` itself writes them", () => {
  const [sets, warnings] = granted({
    bounding: ["CAP_KILL"],
    permitted: ["CAP_KILL"],
    ambient: ["CAP_KILL"],
  });
  expect([sets.ambient, warnings]).toEqual([0n, []]);
});

test("none at all leave every set empty, and all are dropped for good", () => {
  const [drop, , set] = steps({});
  expect(drop?.rows.length).toBe(41);
  expect(set?.rows[0]?.args[1]).toEqual({ bytes: new Uint8Array(24) });
});

test("they are inherited only where that is asked for", () => {
  const set = steps({ permitted: ["CAP_KILL"], effective: ["CAP_KILL"] })[2];
  const data = set?.rows[0]?.args[1];
  if (typeof data !== "object" || !("bytes" in data)) throw new Error("no capset");
  // effective, permitted, inheritable: the lower halves, then the upper ones.
  expect([...new Uint32Array(data.bytes.buffer)]).toEqual([32, 32, 0, 0, 0, 0]);
});

test("a host that lacks one has it dropped, and in a user namespace of its own the container has it", () => {
  const drops = (change: Parameters<typeof smallConfig>[0]) =>
    stepsOf(makePlan(planInput(smallConfig(change), { host: HOSTS.hybrid })), "process.capabilities.bounding")
      .length;
  const maps = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  expect(drops({})).toBe(1);
  const namespaces = [{ type: "mount" }, { type: "user" }] as const;
  expect(drops({ linux: { namespaces: [...namespaces], uidMappings: maps, gidMappings: maps } })).toBe(0);
});
