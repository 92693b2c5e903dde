/**
 * A new container's cgroups on v1, as steps of a plan. Pure: nothing is looked at.
 * Not here: what the actions named here do (driver.ts), or values of limits (one file a controller).
 */
import { type CgroupPart, type CgroupRequest, type Host, isRootless } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import type { DriverAction, HostStep } from "../../src/plan/step.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { DELEGATE_LEGACY, hasCgroupIn, notDelegated } from "../cgroup-common/delegation.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { type CgroupPath, placeCgroup, readCgroupPath } from "../cgroup-common/path.ts";
import { MAKE_HINTS, type Prepare } from "../cgroup-common/prepare.ts";
import { rdma } from "../cgroup-common/rdma.ts";
import { type Controller, type Setting, settingStep } from "../cgroup-common/setting.ts";
import { limitsOf, unifiedSteps } from "../cgroup-v2/plan.ts";
import { blkio } from "./blkio.ts";
import { cpu } from "./cpu.ts";
import { cpuset } from "./cpuset.ts";
import { deviceLines, noDevices } from "./devices.ts";
import { hugetlb } from "./hugetlb.ts";
import { cloneInto, hostStep, joinSteps, openSteps, UNIFIED } from "./join.ts";
import { memory } from "./memory.ts";
import { netCls, netPrio } from "./net.ts";
import { pids } from "./pids.ts";

/** Name of the driver, for actions. */
export const NAME = "v1";

/** Those with values to set; the others are only joined. */
export const CONTROLLERS: readonly Controller[] = [
  cpu,
  cpuset,
  memory,
  pids,
  blkio,
  hugetlb,
  rdma,
  netCls,
  netPrio,
];

/** One directory of the container. */
interface Place {
  readonly directory: string;
  /** The directories below the hierarchy's mount point or our own cgroup, the container's own last. */
  readonly levels: readonly string[];
}

// Every container waits for this file, and it runs once in a process, before any compiler has seen it: so plain loops,
// and no more of the language's library than is needed.

/** Fills `paths`; returns the directories, each once, in the order of the mounts. */
function findPlaces(path: CgroupPath, host: Host, paths: Record<string, string>): Place[] {
  const { cgroup } = host;
  const places: Place[] = [];
  for (const name in cgroup.controllers) {
    if (!hasCgroupIn(path, host, name)) continue;
    const mountPoint = cgroup.controllers[name] ?? "";
    const place = placeCgroup(path, mountPoint, cgroup.own[name] ?? "/", 1);
    paths[name] = place.directory;
    if (!holds(places, place.directory)) places.push(place);
  }
  if (cgroup.unified !== undefined && hasCgroupIn(path, host, "")) {
    const place = placeCgroup(path, cgroup.unified, cgroup.own[""] ?? "/", 1);
    paths[UNIFIED] = place.directory;
    places.push(place);
  }
  return places;
}

function holds(places: readonly Place[], directory: string): boolean {
  for (const place of places) if (place.directory === directory) return true;
  return false;
}

/** A container's cgroups as steps, by what has to come before, and after, its first process joins them. */
export interface LegacyParts {
  readonly paths: Readonly<Record<string, string>>;
  /** Each directory once. */
  readonly own: readonly string[];
  /** Those above the containers' own that are kept. */
  readonly home: readonly string[];
  readonly before: readonly HostStep[];
  readonly atPid: readonly HostStep[];
  readonly warnings: readonly string[];
}

/** Directories and limits of a container with that path, in every hierarchy that is mounted. */
export function legacyParts(path: CgroupPath, resources: LinuxResources, host: Host): LegacyParts {
  const paths: Record<string, string> = {};
  const places = findPlaces(path, host, paths);
  const [own, home]: [string[], string[]] = [[], []];
  const before: HostStep[] = [];
  const atPid: HostStep[] = [];
  const warnings = [...path.warnings];
  for (const { directory, levels } of places) {
    own.push(directory);
    if (path.home) home.push(levels[0] ?? directory);
  }
  if (isRootless(host)) needDelegated(resources, paths, host);
  makeSteps(path, paths, places, before);
  if (!devicesAlone(resources)) limitSteps(resources, host, paths, before, atPid, warnings);
  if (paths.devices !== undefined) deviceSteps(paths.devices, resources, before);
  if (paths.devices === undefined || !devicesAlone(resources)) {
    const elsewhere = partElsewhere(resources, paths, host.cgroup.unified !== undefined, true);
    const directory = paths[UNIFIED];
    const [limit] = directory === undefined ? limitsOf(elsewhere ?? {}) : [];
    if (limit !== undefined) throw notDelegated(limit.setting, ownDirectory(host, ""), DELEGATE_LEGACY);
    if (elsewhere !== undefined && directory !== undefined && host.cgroup.unified !== undefined) {
      const devices = paths.devices === undefined;
      const part = unifiedSteps(NAME, host.cgroup.unified, directory, elsewhere, devices);
      before.push(...part.before);
      atPid.push(...part.atPid);
      warnings.push(...part.warnings);
    }
  }
  return { paths, own, home, before, atPid, warnings };
}

/** Arguments of the action `prepare`. */
export interface LegacyPrepare extends Prepare {
  /** The directory in the cgroup2 tree, which holds devices by a program. */
  readonly unified?: string | undefined;
}

/** Plans the container's cgroup in every hierarchy that is mounted. */
export function planCgroup(request: CgroupRequest, host: Host): CgroupPart {
  const path = readCgroupPath(request, isRootless(host));
  const { paths, own, home, before, atPid, warnings } = legacyParts(path, request.resources ?? {}, host);
  const free = { home, own };
  // Of what is denied by default there is always something that is allowed.
  const prepare: LegacyPrepare =
    deviceLines(request.resources?.devices).allow.length > 0
      ? free
      : { ...free, allDevices: paths.devices ?? paths[UNIFIED], unified: paths[UNIFIED] };
  if (own.length === 0) return { paths, before, join: [], atPid, cloneInto: undefined, warnings };
  const steps = [hostStep("check that the cgroup is free", action("prepare", prepare)), ...before];
  openSteps(paths, steps);
  return { paths, before: steps, join: joinSteps(paths), atPid, cloneInto: cloneInto(paths), warnings };
}

/** Refuses limits of controllers that are mounted, and of which nothing was delegated to the user. */
function needDelegated(resources: LinuxResources, paths: Readonly<Record<string, string>>, host: Host): void {
  for (const { name, settings } of CONTROLLERS) {
    if (host.cgroup.controllers[name] === undefined || paths[name] !== undefined) continue;
    const [first] = settings(resources);
    if (first !== undefined) throw notDelegated(first, ownDirectory(host, name), DELEGATE_LEGACY);
  }
}

/** ctr-bun's own cgroup in a hierarchy. */
function ownDirectory({ cgroup: { controllers, unified, own } }: Host, name: string): string {
  return `${name === "" ? unified : controllers[name]}${own[name] ?? ""}`.replace(/\/$/, "");
}

/** As in the config that `spec` writes: nothing else is limited. */
function devicesAlone(resources: LinuxResources): boolean {
  for (const key in resources) {
    if (key !== "devices" && resources[key as keyof LinuxResources] !== undefined) return false;
  }
  return true;
}

function limitSteps(
  resources: LinuxResources,
  { kernelVersion }: Host,
  paths: Readonly<Record<string, string>>,
  before: HostStep[],
  atPid: HostStep[],
  warnings: string[],
): void {
  for (const controller of CONTROLLERS) {
    const directory = paths[controller.name];
    if (directory === undefined) continue;
    warnings.push(...(controller.warnings?.(resources, kernelVersion) ?? []));
    for (const setting of controller.settings(resources, kernelVersion)) {
      (setting.late === true ? atPid : before).push(settingStep(NAME, directory, setting));
    }
  }
}

/** Making the directories. Those of the container alone are steps, so that a failure removes them. */
function makeSteps(
  path: CgroupPath,
  paths: Readonly<Record<string, string>>,
  places: readonly Place[],
  steps: HostStep[],
): void {
  let cpuset: { levels: readonly string[]; home: boolean } | undefined;
  for (const { directory, levels } of places) {
    for (let at = path.home ? levels.length - 1 : 0; at < levels.length; at++) {
      const level = levels[at] ?? directory;
      steps.push(makeStep(level));
    }
    if (directory === paths.cpuset) cpuset = { levels, home: path.home };
  }
  if (cpuset === undefined) return;
  steps.push(hostStep("fill the cpuset from the one above it", action("cpuset-inherit", cpuset)));
}

function deviceSteps(directory: string, resources: LinuxResources, steps: HostStep[]): void {
  const lines = deviceLines(resources.devices);
  if (lines.deny.length === 0 && lines.allow.length === 0) return;
  const field = "linux.resources.devices";
  const args = { directory, lines };
  steps.push({ on: "host", field, about: "allow devices", action: action("devices", args) });
}

/** v1 controller to what of the resources the same controller of the cgroup2 tree takes. */
const SECTIONS: Readonly<Record<string, (resources: LinuxResources) => LinuxResources>> = {
  memory: ({ memory }) => ({ memory }),
  cpu: ({ cpu }) => ({ cpu: { ...cpu, cpus: undefined, mems: undefined } }),
  cpuset: ({ cpu }) => ({ cpu: { cpus: cpu?.cpus, mems: cpu?.mems } }),
  pids: ({ pids }) => ({ pids }),
  blkio: ({ blockIO }) => ({ blockIO }),
  hugetlb: ({ hugepageLimits }) => ({ hugepageLimits }),
  rdma: ({ rdma }) => ({ rdma }),
};

/**
 * What no mounted v1 controller holds, and so the cgroup2 tree has to; undefined for nothing. Throws where there is no
 * such tree (`unified` is false), or where that has nothing like it. `devices`: those are asked for.
 */
export function partElsewhere(
  resources: LinuxResources,
  paths: Readonly<Record<string, string>>,
  unified: boolean,
  devices: boolean,
): LinuxResources | undefined {
  const parts: LinuxResources[] = [];
  for (const controller of CONTROLLERS) {
    if (paths[controller.name] !== undefined) continue;
    const [first] = controller.settings(resources);
    if (first === undefined) continue;
    const section = unified ? SECTIONS[controller.name] : undefined;
    if (section === undefined) throw notMounted(controller.name, first);
    parts.push(section(resources));
  }
  if (devices && paths.devices === undefined) {
    const policy = devicePolicy(resources.devices);
    if (!unified && !(policy.allowAll && policy.rules.length === 0)) throw noDevices();
    if (unified) parts.push({ devices: resources.devices });
  }
  if (Object.keys(resources.unified ?? {}).length > 0) {
    if (!unified) throw noUnified();
    parts.push({ unified: resources.unified });
  }
  if (parts.length === 0) return undefined;
  const cpu: LinuxResources["cpu"] = Object.assign({}, ...parts.map((part) => defined(part.cpu)));
  const all: LinuxResources = Object.assign({}, ...parts, { cpu });
  return all;
}

function defined<T extends object>(fields: T | undefined): Partial<T> {
  const kept = Object.entries(fields ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as Partial<T>;
}

function notMounted(controller: string, { field, file }: Setting): Error {
  return fail({
    code: "CGROUP",
    field: `linux.resources.${field}`,
    message: `cannot set ${file}: the cgroup controller ${controller} is not mounted on this host`,
    hint: `see /proc/cgroups; mount it with: mount -t cgroup -o ${controller} cgroup DIRECTORY`,
  });
}

function noUnified(): Error {
  return fail({
    code: "CGROUP",
    field: "linux.resources.unified",
    message: "cannot be held: this host has no cgroup2 tree",
    hint: "mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
  });
}

function makeStep(path: string): HostStep {
  return { ...hostStep(`make the cgroup ${path}`, { do: "mkdir", path, mode: 0o755 }), hints: MAKE_HINTS };
}

function action(call: string, args: unknown): DriverAction {
  return { do: "driver", kind: "cgroup", name: NAME, call, args };
}
