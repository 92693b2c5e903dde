// What one container may leave on the host: its state, cgroups by its ID, mounts of its bundle, processes.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bundle } from "./bundle.ts";

const CGROUPS = "/sys/fs/cgroup";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A process by its number and the time at which it started, so that a later one is not taken for it. */
export type Seen = Map<number, string>;

/** Start time and state (proc_pid_stat(5)). */
export function look(pid: number): { state: string; started: string } | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === "") return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", started: fields[19] ?? "" };
}

/** PIDs of a process's children, whichever of its threads made them. */
export function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads
    .flatMap((thread) => read(`/proc/${pid}/task/${thread}/children`).split(" "))
    .filter((word) => word.trim() !== "")
    .map(Number);
}

/** Notes the children that a process has now. */
export function noteChildren(pid: number, seen: Seen): number[] {
  const children = childrenOf(pid);
  for (const child of children) {
    const found = seen.has(child) ? undefined : look(child);
    if (found !== undefined) seen.set(child, found.started);
  }
  return children;
}

/** Those of the processes that are still there, zombies too. */
export function stillThere(seen: Seen): number[] {
  return [...seen].filter(([pid, started]) => look(pid)?.started === started).map(([pid]) => pid);
}

/** Directories of cgroups made for containers whose ID begins with `id`, in every hierarchy. */
export function cgroupsOf(id: string): string[] {
  if (!existsSync(CGROUPS)) return [];
  return [".", ...readdirSync(CGROUPS)].flatMap((hierarchy) => {
    const parent = join(CGROUPS, hierarchy, "ctr-bun");
    if (!existsSync(parent)) return [];
    return readdirSync(parent)
      .filter((name) => name.startsWith(id))
      .map((name) => join(parent, name));
  });
}

/** Everything that is left of containers of this bundle whose ID begins with `id`, in words. */
export function leftOf(bundle: Bundle, id: string, seen: Seen = new Map()): string[] {
  const state = existsSync(bundle.state) ? readdirSync(bundle.state) : [];
  const mounts = read("/proc/self/mountinfo")
    .split("\n")
    .filter((line) => line.includes(bundle.path));
  return [
    ...state.filter((name) => name.startsWith(id)).map((name) => `state of ${name}`),
    ...cgroupsOf(id),
    ...mounts.map((line) => `mount ${line}`),
    ...stillThere(seen).map(
      (pid) => `process ${pid} (${look(pid)?.state}, ${read(`/proc/${pid}/comm`).trim()})`,
    ),
  ];
}

/** The same after up to `patience` milliseconds in which what is ending may end. */
export async function leftAfter(bundle: Bundle, id: string, seen: Seen, patience = 5000): Promise<string[]> {
  const end = performance.now() + patience;
  let left = leftOf(bundle, id, seen);
  while (left.length > 0 && performance.now() < end) {
    await Bun.sleep(20);
    left = leftOf(bundle, id, seen);
  }
  return left;
}
