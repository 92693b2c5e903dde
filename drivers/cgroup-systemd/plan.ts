/**
 * A new container's cgroup as a unit of systemd's, as steps of a plan. Pure. Not here: what the actions named here do
 * (act.ts), names of units (unit.ts), values of limits (properties.ts, and the drivers of cgroups v1 and v2).
 *
 * A scope is made of processes that are there: while stage 0 of the init waits, systemd makes the unit with it inside,
 * and the rest follows: what systemd has no property for, and everything again exactly. The container's process is born
 * in the unit, which so needs no right to clone into a cgroup, and goes by itself when ctr-bun dies in between.
 */
import {
  type CgroupJoin,
  type CgroupPart,
  type CgroupRequest,
  type Host,
  type HostSystemd,
  isRootless,
} from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import type { UnitProperty } from "../../src/kernel/systemd.ts";
import type { HostAction, HostStep } from "../../src/plan/step.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import type { CgroupPath } from "../cgroup-common/path.ts";
import { legacyParts } from "../cgroup-v1/plan.ts";
import type { Enable } from "../cgroup-v2/enable.ts";
import { joinTarget } from "../cgroup-v2/join.ts";
import { UNIFIED, unifiedSteps } from "../cgroup-v2/plan.ts";
import { annotatedProperties, DELEGATE, type Subgroups, subgroups } from "./annotations.ts";
import { deviceProperties } from "./devices.ts";
import { legacyProperties, property, tasksProperties, unifiedProperties } from "./properties.ts";
import { asksForWeights } from "./read-back.ts";
import { type UnitPlace, unitOf, unitPlace } from "./unit.ts";

/** Name of the driver, for actions. */
export const NAME = "systemd";
const FIELD = "linux.cgroupsPath";
/** The version of systemd that brought CollectMode=. */
const COLLECTS = 236;

/** Arguments of the action `start`. */
export interface Start {
  readonly unit: string;
  readonly kind: UnitPlace["kind"];
  readonly properties: readonly UnitProperty[];
  /** The unit's cgroup in every hierarchy, as it is expected. */
  readonly directories: readonly string[];
  /** The end of that in /proc/PID/cgroup. */
  readonly expected: string;
}

/** Plans the container's unit. */
export function planUnit(request: CgroupRequest, host: Host, systemd: HostSystemd): CgroupPart {
  // An ordinary user's own systemd makes the unit: as systemdScope() of the kernel has it.
  const user = isRootless(host);
  const place = unitPlace(request, user, systemd.version);
  const below = subgroups(request.annotations);
  if (host.cgroup.mode === "unified") return planUnified(request, host, systemd, place, below);
  if (user) {
    // runc's words.
    throw fail({
      code: "UNSUPPORTED",
      field: "--systemd-cgroup",
      message: "cannot use rootless systemd cgroups manager on cgroup v1",
      hint: "boot with systemd.unified_cgroup_hierarchy=1",
    });
  }
  if (below.delegated !== undefined) {
    throw fail({
      code: "UNSUPPORTED",
      field: `annotations["${DELEGATE}"]`,
      message: "not supported on cgroup v1, where delegation is not safe",
      hint: "leave it out",
    });
  }
  return planLegacy(request, host, systemd, place, below);
}

function planUnified(
  request: CgroupRequest,
  host: Host,
  systemd: HostSystemd,
  place: UnitPlace,
  { subgroup, delegated }: Subgroups,
): CgroupPart {
  const mountPoint = host.cgroup.unified;
  if (mountPoint === undefined) throw fail({ code: "INTERNAL", message: "a unified host without a tree" });
  const resources = request.resources ?? {};
  const unitDirectory = [mountPoint, ...partsOf(systemd, place)].join("/");
  const directory = subgroup === undefined ? unitDirectory : `${unitDirectory}/${subgroup}`;
  const limits = [
    ...deviceProperties(devicePolicy(resources.devices), false),
    ...unifiedProperties(resources, systemd.version),
    ...tasksProperties(resources).first,
  ];
  const attach: HostStep[] = [startStep(request, systemd, place, [unitDirectory], limits, "IOAccounting")];
  if (subgroup !== undefined) attach.push(makeStep(directory));
  if (subgroup !== undefined || place.kind === "Slice") attach.push(joinStep([directory]));
  const part = unifiedSteps(NAME, mountPoint, directory, resources, true, true, true);
  attach.push(...part.before);
  if (asksForWeights(resources)) attach.push(weightsStep(place, directory));
  const atPid = [...tasksSteps(place, resources, { [UNIFIED]: directory }), ...part.atPid];
  if (delegated !== undefined) {
    const inner = `${directory}/${delegated}`;
    const enable: Enable = { mountPoint, directory: inner, all: true, wanted: [] };
    attach.push(makeStep(inner));
    // Behind the making of the cgroup namespace, of which the cgroup above is the root.
    atPid.push(
      step(`move the container's process into ${inner}`, {
        do: "write-pid",
        path: `${inner}/cgroup.procs`,
      }),
      step("enable controllers for the delegated cgroup", action("enable-controllers", enable)),
    );
  }
  return { paths: { [UNIFIED]: directory }, ...NOTHING, attach, atPid, warnings: part.warnings };
}

function planLegacy(
  request: CgroupRequest,
  host: Host,
  systemd: HostSystemd,
  place: UnitPlace,
  { subgroup }: Subgroups,
): CgroupPart {
  const resources = request.resources ?? {};
  const unitParts = partsOf(systemd, place);
  const path: CgroupPath = {
    absolute: true,
    parts: [...unitParts, ...(subgroup === undefined ? [] : [subgroup])],
    home: false,
    warnings: [],
  };
  const { paths, own, warnings, ...steps } = legacyParts(path, resources, host);
  const [before, atPid] = [steps.before.map(asOurs), steps.atPid.map(asOurs)];
  const limits = [
    ...(paths.devices === undefined ? [] : deviceProperties(devicePolicy(resources.devices), true)),
    ...legacyProperties(resources, systemd.version),
    ...tasksProperties(resources).first,
  ];
  const units = own.map((directory) =>
    subgroup === undefined ? directory : directory.slice(0, -subgroup.length - 1),
  );
  const attach = [
    startStep(request, systemd, place, units, limits, "BlockIOAccounting"),
    ...before,
    joinStep(own),
  ];
  return {
    paths,
    ...NOTHING,
    attach,
    atPid: [...tasksSteps(place, resources, paths), ...atPid],
    warnings,
  };
}

/** A step of v1's driver as one of this, which hands it on. */
function asOurs(one: HostStep): HostStep {
  return one.action.do === "driver" ? { ...one, action: { ...one.action, name: NAME } } : one;
}

const NOTHING = { before: [], join: [], cloneInto: undefined };

/** From the root of a hierarchy. */
function partsOf({ controlGroup }: HostSystemd, { parts }: UnitPlace): string[] {
  return [...controlGroup.split("/").filter((part) => part !== ""), ...parts];
}

/** As runc makes units; what is asked of systemd by annotations comes before the limits, which win. */
function startStep(
  { id, annotations }: CgroupRequest,
  { version }: HostSystemd,
  { unit, kind, slice, parts }: UnitPlace,
  directories: readonly string[],
  limits: readonly UnitProperty[],
  diskAccounting: string,
): HostStep {
  const yes = (name: string): UnitProperty => property(name, "b", true);
  const place: UnitProperty[] =
    kind === "Slice" ? [property("Wants", "as", [slice])] : [property("Slice", "s", slice), yes("Delegate")];
  const start: Start = {
    unit,
    kind,
    directories,
    expected: `/${parts.join("/")}`,
    properties: [
      property("Description", "s", `ctr-bun container ${id}`),
      ...place,
      ...["MemoryAccounting", "CPUAccounting", diskAccounting, "TasksAccounting"].map(yes),
      property("DefaultDependencies", "b", false),
      // One that has failed goes as well, where nobody is left to see to it.
      ...(version < COLLECTS ? [] : [property("CollectMode", "s", "inactive-or-failed")]),
      ...annotatedProperties(annotations),
      ...limits,
    ],
  };
  return step(`have systemd start ${unit} in ${slice}`, action("start", start));
}

/** Arguments of the action `set-properties`. */
export interface SetProperties {
  readonly unit: string;
  readonly properties: readonly UnitProperty[];
  /** The container's cgroups, whose files keep their values. */
  readonly paths: Readonly<Record<string, string>>;
}

/** A limit of tasks that only holds once stage 0 has gone. */
function tasksSteps(
  { unit }: UnitPlace,
  resources: LinuxResources,
  paths: SetProperties["paths"],
): HostStep[] {
  const { first, last: properties } = tasksProperties(resources);
  if (Bun.deepEquals(first, properties)) return [];
  const args: SetProperties = { unit, properties, paths };
  const about = `have systemd limit the tasks of ${unit}`;
  const field = "linux.resources.pids.limit";
  return [{ on: "host", field, about, action: action("set-properties", args) }];
}

/** Arguments of the action `set-weights`. */
export interface SetWeights {
  readonly unit: string;
  /** The container's cgroup, which is of v2. */
  readonly directory: string;
}

/** Where the kernel has BFQ's file, which only shows once the cgroup is there. */
function weightsStep({ unit }: UnitPlace, directory: string): HostStep {
  const args: SetWeights = { unit, directory };
  const about = `have systemd keep the weights of ${unit} for BFQ`;
  return { on: "host", field: "linux.resources.blockIO", about, action: action("set-weights", args) };
}

/** Arguments of the action `attach`. */
export interface Attach {
  readonly unit: string;
  /** `/` and the path of a cgroup below the unit's; empty for that itself. */
  readonly below: string;
}

/**
 * Joining an ordinary user's container, for exec: from a session's cgroup only systemd may move a process there, which
 * it does when it is asked by the owner of both. As in runc.
 */
export function planAttach(
  paths: Readonly<Record<string, string>>,
  initPid: number | undefined,
  below: Readonly<Record<string, string>> | undefined,
): CgroupJoin {
  const directory = paths[UNIFIED] ?? "";
  const inner = below?.[UNIFIED] ?? joinTarget(directory, initPid);
  const { unit, directory: unitDirectory } = unitOf(directory);
  const place = `${directory}${inner === undefined ? "" : `/${inner}`}`;
  const args: Attach = { unit, below: place.slice(unitDirectory.length) };
  const attach = [step(`have systemd move the process into ${place}`, action("attach", args))];
  return { ...NOTHING, attach };
}

/** Arguments of the action `join`. */
export interface Join {
  readonly directories: readonly string[];
}

function joinStep(directories: readonly string[]): HostStep {
  const args: Join = { directories };
  return step("move the process that makes the container there", action("join", args));
}

function makeStep(path: string): HostStep {
  return step(`make the cgroup ${path}`, { do: "mkdir", path, mode: 0o755 });
}

function step(about: string, what: HostAction): HostStep {
  return { on: "host", field: FIELD, about, action: what };
}

function action(call: string, args: unknown): HostAction {
  return { do: "driver", kind: "cgroup", name: NAME, call, args };
}
