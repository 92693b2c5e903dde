/**
 * What the tests of plan/ share: recorded hosts, a small config to change, facts as values, and the input that a plan
 * is made from. Nothing here looks at the machine that the tests run on.
 */
import hybridJson from "../../../spec-fixtures/hosts/hybrid.json";
import legacyJson from "../../../spec-fixtures/hosts/legacy.json";
import unifiedJson from "../../../spec-fixtures/hosts/unified.json";
import { builtinRegistry } from "../../../src/builtin-drivers.ts";
import type { Host } from "../../../src/driver.ts";
import { asCtrError, type CtrError } from "../../../src/error.ts";
import { CAPABILITIES } from "../../../src/kernel/capabilities.ts";
import type { MountFact, PlanFacts, PlanInput, PlanOptions } from "../../../src/plan/input.ts";
import { parseMountOptions } from "../../../src/plan/mount-options.ts";
import type { InitStep, Plan, Row } from "../../../src/plan/step.ts";
import type { Linux, Process, RuntimeConfig } from "../../../src/spec/runtime/config.ts";

/** JSON has no bigint: the capabilities are a number there. */
function host(json: unknown): Host {
  const recorded = json as Omit<Host, "capabilities"> & { readonly capabilities: number };
  return { ...recorded, capabilities: BigInt(recorded.capabilities) };
}

export const HOSTS = { hybrid: host(hybridJson), unified: host(unifiedJson), legacy: host(legacyJson) };
/** The hybrid host, which lacks CAP_SYS_RESOURCE, with all of them: plans differ by what their test is about alone. */
const CAPABLE: Host = { ...HOSTS.hybrid, capabilities: HOSTS.unified.capabilities };
export const registry = builtinRegistry();

const BUNDLE = "/bundle";
/** Facts that differ, by destination as the config has it; the working directory's under `cwd`. */
export type Found = Readonly<Record<string, Partial<MountFact>>>;

function clean(path: string): string {
  return `/${path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
}

/** What looking at a root file system would find in which everything exists and nothing is a link. */
export function planFacts(config: RuntimeConfig, found: Found = {}): PlanFacts {
  const mounts: MountFact[] = [];
  for (const mount of config.mounts ?? []) {
    const destination = clean(mount.destination);
    const { bind } = parseMountOptions(mount.type, mount.options ?? []);
    const given = mount.source ?? "";
    const source = bind && !given.startsWith("/") ? `${BUNDLE}/${given}` : given;
    const inside = mounts.findLastIndex((other) => destination.startsWith(`${other.destination}/`));
    // A bind mount at /proc is taken to be one of a procfs.
    const procfs = bind && destination === "/proc";
    mounts.push({
      destination,
      missing: 0,
      inside,
      source,
      file: false,
      procfs,
      ...found[mount.destination],
    });
  }
  const cwd = config.process?.cwd;
  return {
    bundle: BUNDLE,
    rootfs: config.root.path.startsWith("/") ? config.root.path : `${BUNDLE}/${config.root.path}`,
    mounts,
    cwd: cwd === undefined ? undefined : { destination: clean(cwd), missing: 0, ...found.cwd },
    nofile: undefined,
    lastCapability: CAPABILITIES.length - 1,
    afterUser: [],
    hostsOwn: [],
  };
}

/** What a plan is made from, for a container that waits for start. */
export function planInput(
  config: RuntimeConfig,
  more: {
    readonly host?: Host;
    readonly facts?: Partial<PlanFacts>;
    readonly found?: Found;
    readonly options?: Partial<PlanOptions>;
  } = {},
): PlanInput {
  return {
    config,
    host: more.host ?? CAPABLE,
    registry,
    facts: { ...planFacts(config, more.found), ...more.facts },
    options: {
      id: "box",
      start: "wait",
      noPivot: false,
      noNewKeyring: false,
      preserveFds: 0,
      init: false,
      ...more.options,
    },
  };
}

/** `small` of {@link smallConfig} with parts replaced. */
export interface Change extends Partial<Omit<RuntimeConfig, "process" | "linux">> {
  readonly process?: Partial<Process>;
  readonly linux?: Partial<Linux>;
}

/** A config as short as can be: one program with all capabilities, in a mount and a pid namespace of its own. */
export function smallConfig({ process, linux, ...rest }: Change = {}): RuntimeConfig {
  const all = [...CAPABILITIES];
  return {
    ociVersion: "1.3.0",
    root: { path: "rootfs" },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    ...rest,
    process: {
      user: { uid: 0, gid: 0 },
      args: ["/bin/sh"],
      cwd: "/",
      capabilities: { bounding: all, effective: all, permitted: all },
      ...process,
    },
    linux: { namespaces: [{ type: "mount" }, { type: "pid" }], ...linux },
  };
}

export function initSteps({ steps }: Plan): InitStep[] {
  return steps.flatMap((step) => (step.on === "init" ? [step] : []));
}

/** The init's steps that come of this property. */
export function stepsOf(plan: Plan, field: string): InitStep[] {
  return initSteps(plan).filter((step) => step.field === field);
}

/** Calls of rows, with what is kept of each: enough to see an order. */
export function calls(rows: readonly Row[]): string[] {
  return rows.map(({ call }) => call);
}

/** The error that a call ends with. */
export function errorOf(call: () => unknown): CtrError {
  try {
    call();
  } catch (error) {
    return asCtrError(error);
  }
  throw new Error("nothing was thrown");
}
