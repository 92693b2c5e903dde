/**
 * Every property of the configuration has a step, or a warning, in a recorded plan. The plans of what no other file of
 * golden plans has are here.
 */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { makePlan } from "../../../src/plan/plan.ts";
import { parseDocument } from "../../../src/spec/parse.ts";
import { RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { fixture, fixtureValue } from "../spec/support.ts";
import { goldenPlans } from "./golden.ts";
import { HOSTS, planInput, smallConfig } from "./inputs.ts";

/** Properties whose step is called by another one, and those that have none. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "linux.mountLabel": "mounts",
  "process.consoleSize": "process.terminal",
  "process.env": "process.args",
};
const NO_STEP: Readonly<Record<string, string>> = {
  annotations: "kept for state and hooks",
  "hooks.poststart": "run by start, when nothing is left to plan",
  "hooks.poststop": "run by delete",
  "linux.resources.memory.checkBeforeUpdate": "for update alone",
  ociVersion: "says how to read the others",
};

const full = parseDocument(RuntimeConfig, fixtureValue("config/full.json"), "full.json");
const { memory, ...resources } = full.linux?.resources ?? {};
/** Nothing is mounted: the plan is as short as can be. */
const SHORT = { mounts: [], linux: { namespaces: [{ type: "pid" as const }] } };

/** All resources, on a host of one kind. */
function resourcesPlan(host: "legacy" | "unified") {
  const all = { ...resources, memory: { ...memory, disableOOMKiller: true } };
  const held = host === "legacy" ? { ...all, unified: undefined } : all;
  const config = smallConfig({ ...SHORT, linux: { ...SHORT.linux, resources: held } });
  return makePlan(planInput(config, { host: HOSTS[host], options: { start: "go" } }));
}

goldenPlans({
  "resources-all-legacy": () => resourcesPlan("legacy"),
  "resources-all-unified": () => resourcesPlan("unified"),

  capabilities: () => {
    const capabilities = {
      bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"],
      permitted: ["CAP_KILL", "CAP_CHOWN"],
      effective: ["CAP_KILL", "CAP_NET_RAW"],
      inheritable: ["CAP_CHOWN", "CAP_SYS_ADMIN"],
      ambient: ["CAP_CHOWN", "CAP_KILL", "CAP_OF_THE_FUTURE"],
    };
    const config = smallConfig({ ...SHORT, process: { user: { uid: 1000, gid: 1000 }, capabilities } });
    return makePlan(planInput(config, { options: { start: "go" } }));
  },
});

/** Names of properties as the specification has them, without indexes. */
function properties(value: unknown, at = ""): string[] {
  if (Array.isArray(value)) return [at, ...value.flatMap((part) => properties(part, at))];
  if (typeof value !== "object" || value === null) return [at];
  // What is in a map has names of its own.
  const isMap = /^annotations$|netDevices$|sysctl$|rdma$|unified$/.test(at);
  return [
    at,
    ...Object.entries(value).flatMap(([key, part]) =>
      isMap ? [] : properties(part, at === "" ? key : `${at}.${key}`),
    ),
  ].filter((name) => name !== "");
}

/** The properties that steps and warnings of recorded plans are of. */
function recorded(): Set<string> {
  const folder = join(import.meta.dir, "../../../spec-fixtures/plans");
  const heads = readdirSync(folder).flatMap((name) => [
    ...fixture(`plans/${name}`).matchAll(/^ *(?:host|init|helper|warning) {2}([^ :]+)/gm),
  ]);
  return new Set(heads.map(([, field = ""]) => field.replaceAll(/\["[^"]*"\]|\[\d+\]/g, "")));
}

/** Too wide to say anything of what is in them. */
const SECTIONS = /^(?:process|linux|root|hooks|linux\.resources(?:\.(?:memory|cpu|pids|blockIO|network))?)$/;

test("every property has its step in a recorded plan, or its section has", () => {
  const steps = [...recorded()];
  const isShown = (name: string): boolean => {
    if (SECTIONS.test(name)) return false;
    if (steps.includes(ELSEWHERE[name] ?? name)) return true;
    return name.includes(".") && isShown(name.slice(0, name.lastIndexOf(".")));
  };
  // What holds a property that is shown is shown by it.
  const holds = (name: string) => steps.some((step) => step.startsWith(`${name}.`));
  const missing = properties(fixtureValue("config/full.json")).filter(
    (name) => !isShown(name) && !holds(name),
  );
  const listed = (name: string) => Object.keys(NO_STEP).find((each) => `${name}.`.startsWith(`${each}.`));
  expect(missing.filter((name) => listed(name) === undefined)).toEqual([]);
  expect([...new Set(missing.map(listed))].sort()).toEqual(Object.keys(NO_STEP).sort());
});
