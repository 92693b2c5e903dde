/**
 * A new container's cgroup in a cgroup2 tree, as steps of a plan; on a hybrid host (cgroup-v1) too, for what only that
 * tree has. Pure. Not here: what the actions named here do (driver.ts), or values of limits (one file a controller).
 */
import { type CgroupPart, type CgroupRequest, type Host, isRootless } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { O_DIRECTORY, O_PATH } from "../../src/kernel/constants.ts";
import type { HostAction, HostStep } from "../../src/plan/step.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { DELEGATE_UNIFIED, hasCgroupIn, notDelegated } from "../cgroup-common/delegation.ts";
import { devicePolicy } from "../cgroup-common/devices.ts";
import { HOME, placeCgroup, readCgroupPath } from "../cgroup-common/path.ts";
import { MAKE_HINTS, type Prepare } from "../cgroup-common/prepare.ts";
import { rdma } from "../cgroup-common/rdma.ts";
import { type Controller, type Setting, settingStep } from "../cgroup-common/setting.ts";
import { cpu } from "./cpu.ts";
import { cpuset } from "./cpuset.ts";
import type { DeviceProgram } from "./devices.ts";
import type { Enable, Wanted } from "./enable.ts";
import { hugetlb } from "./hugetlb.ts";
import { io } from "./io.ts";
import { memory } from "./memory.ts";
import { pids } from "./pids.ts";
import { unifiedSettings } from "./unified.ts";

/** Name of the driver, for actions. */
export const NAME = "v2";
/** Key of the cgroup among the paths, and name of its descriptor. */
export const UNIFIED = "unified";
const FD = `cgroup.${UNIFIED}`;
const FIELD = "linux.cgroupsPath";

export const CONTROLLERS: readonly Controller[] = [cpu, cpuset, memory, pids, io, hugetlb, rdma];

/** Plans the container's cgroup. */
export function planCgroup(request: CgroupRequest, host: Host): CgroupPart {
  const mountPoint = host.cgroup.unified;
  if (mountPoint === undefined) {
    throw fail({ code: "CGROUP", field: FIELD, message: "this host has no cgroup2 tree" });
  }
  const path = readCgroupPath(request, isRootless(host));
  const { directory, levels } = placeCgroup(path, mountPoint, host.cgroup.own[""] ?? "/", 2);
  if (!hasCgroupIn(path, host, "")) return withoutCgroup(request.resources ?? {}, directory);
  const { allowAll, rules } = devicePolicy(request.resources?.devices);
  const free: Prepare = { home: path.home ? levels.slice(0, -1) : [], own: [directory] };
  const prepare = allowAll && rules.length === 0 ? { ...free, allDevices: directory } : free;
  const before: HostStep[] = [hostStep("check that the cgroup is free", action(NAME, "prepare", prepare))];
  for (const level of path.home ? [directory] : levels) {
    before.push(makeStep(level));
  }
  const resources = request.resources ?? {};
  const part = unifiedSteps(NAME, mountPoint, directory, resources, true, true, request.userNamespace);
  before.push(...part.before, openStep(directory));
  return {
    paths: { [UNIFIED]: directory },
    before,
    join: [],
    atPid: part.atPid,
    cloneInto: FD,
    warnings: [...path.warnings, ...part.warnings],
  };
}

/** Nothing was delegated to the user: nothing may be asked for. `directory`: where it would be. */
function withoutCgroup(resources: LinuxResources, directory: string): CgroupPart {
  const [first] = limitsOf(resources);
  if (first !== undefined) {
    const above = directory.slice(0, directory.lastIndexOf(`/${HOME}/`));
    throw notDelegated(first.setting, above, DELEGATE_UNIFIED);
  }
  return { paths: {}, before: [], join: [], atPid: [], cloneInto: undefined, warnings: [] };
}

/** Opening the directory, or one below it, for clone3. */
export function openStep(directory: string, below?: string): HostStep {
  const open = { do: "open", as: FD, path: directory, flags: O_PATH | O_DIRECTORY } as const;
  return below === undefined
    ? hostStep(`open ${directory}`, open)
    : hostStep(`open ${directory}/${below}`, { ...open, below });
}

/** Steps that hold resources in a directory of the cgroup2 tree that is there. */
export interface UnifiedPart {
  readonly before: readonly HostStep[];
  readonly atPid: readonly HostStep[];
  readonly warnings: readonly string[];
}

/**
 * `driver` carries out the actions. `devices`: hold `resources.devices` too. `all`: enable every controller that the
 * tree has, so that it is counted; else only those that are needed. `beside`: until the init is made, another process is
 * in the cgroup, and a pids limit waits for that.
 */
export function unifiedSteps(
  driver: string,
  mountPoint: string,
  directory: string,
  resources: LinuxResources,
  devices: boolean,
  all = false,
  beside = false,
): UnifiedPart {
  const before: HostStep[] = [];
  const atPid: HostStep[] = [];
  const warnings: string[] = [];
  const wanted = wantedBy(resources);
  for (const controller of CONTROLLERS) {
    warnings.push(...(controller.warnings?.(resources) ?? []));
    for (const setting of controller.settings(resources)) {
      const late = setting.late === true || (beside && setting.file === "pids.max");
      (late ? atPid : before).push(settingStep(driver, directory, setting));
    }
  }
  for (const { setting } of unifiedSettings(resources)) {
    (beside && setting.file === "pids.max" ? atPid : before).push(settingStep(driver, directory, setting));
  }
  if (all || wanted.length > 0) {
    const enable: Enable = { mountPoint, directory, all, wanted };
    before.unshift(
      hostStep("enable controllers down to the cgroup", action(driver, "enable-controllers", enable)),
    );
  }
  if (devices) {
    const policy = devicePolicy(resources.devices);
    if (!policy.allowAll || policy.rules.length > 0) {
      const program: DeviceProgram = { directory, policy };
      const step = hostStep("allow devices, by an eBPF program", action(driver, "device-program", program));
      before.push({ ...step, field: "linux.resources.devices" });
    }
  }
  warnings.push(...networkWarnings(resources));
  return { before, atPid, warnings };
}

/** No controller has them. */
export function networkWarnings({ network }: LinuxResources): string[] {
  const fields: string[] = [];
  if (network?.classID) fields.push("classID");
  if (network?.priorities?.length) fields.push("priorities");
  return fields.map((field) => `linux.resources.network.${field} is ignored: cgroup v2 has nothing like it`);
}

/** The controllers without which the resources cannot be held, each with the first field and file that need it. */
export function wantedBy(resources: LinuxResources): Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (const { controller, setting } of limitsOf(resources)) {
    if (controller === undefined || wanted.has(controller)) continue;
    const { field, file } = setting;
    wanted.set(controller, { controller, field: `linux.resources.${field}`, file });
  }
  return [...wanted.values()];
}

/** All that is to be written, and which controller holds it; undefined for files that every cgroup has. */
export function limitsOf(resources: LinuxResources): { controller: string | undefined; setting: Setting }[] {
  const known = CONTROLLERS.flatMap((controller) =>
    controller.settings(resources).map((setting) => ({ controller: controller.name, setting })),
  );
  return [...known, ...unifiedSettings(resources)];
}

function makeStep(path: string): HostStep {
  return { ...hostStep(`make the cgroup ${path}`, { do: "mkdir", path, mode: 0o755 }), hints: MAKE_HINTS };
}

function hostStep(about: string, what: HostAction): HostStep {
  return { on: "host", field: FIELD, about, action: what };
}

function action(driver: string, call: string, args: unknown): HostAction {
  return { do: "driver", kind: "cgroup", name: driver, call, args };
}
