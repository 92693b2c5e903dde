/**
 * Joining a container's cgroups on v1, as steps of a plan: for its init, and for exec. Pure.
 * Not here: making them (plan.ts).
 */
import type { CgroupJoin } from "../../src/driver.ts";
import { O_DIRECTORY, O_PATH, O_WRONLY } from "../../src/kernel/constants.ts";
import type { HostAction, HostStep, InitStep } from "../../src/plan/step.ts";

/** Key of the cgroup2 tree among the paths. */
export const UNIFIED = "unified";
const FIELD = "linux.cgroupsPath";
/** Moving a process into its cgroup is never refused, as making one there is. */
const LIMITS_NUMBER = "pids";

export function hostStep(about: string, what: HostAction): HostStep {
  return { on: "host", field: FIELD, about, action: what };
}

/** Joining a container that is there, for exec. */
export function planJoin(paths: Readonly<Record<string, string>>, below: Below): CgroupJoin {
  const before: HostStep[] = [];
  openSteps(paths, before, below);
  const all = joinSteps(paths, below);
  const names = v1Names(paths);
  return {
    before,
    join: all.filter((_step, at) => names[at] !== LIMITS_NUMBER),
    inside: all.filter((_step, at) => names[at] === LIMITS_NUMBER),
    cloneInto: cloneInto(paths),
  };
}

/** Key of the paths to what is meant below that directory. */
type Below = Readonly<Record<string, string>>;

/** Names of the v1 controllers: of those that are mounted together, the first. */
function v1Names(paths: Readonly<Record<string, string>>): string[] {
  const names: string[] = [];
  const seen: string[] = [];
  for (const name in paths) {
    const directory = paths[name] ?? "";
    if (name === UNIFIED || seen.includes(directory)) continue;
    seen.push(directory);
    names.push(name);
  }
  return names;
}

function fdName(controller: string): string {
  return `cgroup.${controller}`;
}

export function cloneInto(paths: Readonly<Record<string, string>>): string | undefined {
  return paths[UNIFIED] === undefined ? undefined : fdName(UNIFIED);
}

/**
 * `tasks`, not `cgroup.procs`: stage 0 has one thread, and moves itself. The kernel takes no lock over all forks and
 * exits of the machine for that (cgroup_procs_write_start() in kernel/cgroup/cgroup.c), whose taking waits for a grace
 * period of RCU where the kernel does not favour moves (favordynmods).
 */
export function openSteps(
  paths: Readonly<Record<string, string>>,
  steps: HostStep[],
  below: Below = {},
): void {
  const step = (name: string, path: string, sub: string | undefined, flags: number): HostStep => {
    const open = { do: "open", as: fdName(name), path, flags } as const;
    return sub === undefined
      ? hostStep(`open ${path}`, open)
      : hostStep(`open ${path}/${sub}`, { ...open, below: sub });
  };
  for (const name of v1Names(paths)) {
    const [directory, sub] = [paths[name] ?? "", below[name]];
    steps.push(
      sub === undefined
        ? step(name, `${directory}/tasks`, undefined, O_WRONLY)
        : step(name, directory, `${sub}/tasks`, O_WRONLY),
    );
  }
  const path = paths[UNIFIED];
  if (path !== undefined) steps.push(step(UNIFIED, path, below[UNIFIED], O_PATH | O_DIRECTORY));
}

const JOIN_HINTS = {
  ENOSPC: "the cpuset has no CPUs or no memory nodes",
  EINVAL: "a realtime process needs cpu.realtimeRuntime",
};

export function joinSteps(paths: Readonly<Record<string, string>>, below: Below = {}): InitStep[] {
  const steps: InitStep[] = [];
  for (const name of v1Names(paths)) {
    const directory = below[name] === undefined ? paths[name] : `${paths[name]}/${below[name]}`;
    steps.push({
      on: "init",
      field: FIELD,
      about: `join the cgroup ${directory}`,
      path: `${directory}/tasks`,
      rows: [{ call: "write", args: [{ fd: fdName(name) }, "0", 1] }],
      hints: JOIN_HINTS,
    });
  }
  return steps;
}
