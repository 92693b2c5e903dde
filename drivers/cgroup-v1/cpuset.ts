/**
 * The v1 cpuset controller: `linux.resources.cpu.cpus` and `mems`, and filling a new cpuset from the one above it,
 * without which no process may join. Source: Documentation/admin-guide/cgroup-v1/cpusets.rst.
 */
import type { CgroupStats } from "../../src/driver.ts";
import { readText, readTextIfAny, writeFile } from "../../src/kernel/file.ts";
import { omitEmpty, readCounter } from "../cgroup-common/read.ts";
import type { Controller, Setting } from "../cgroup-common/setting.ts";

const ONLINE = "is it a list such as 0-3,7, and has this host all of that online?";
const HINTS = {
  EINVAL: ONLINE,
  ERANGE: ONLINE,
  EACCES: "the cgroup above does not have all of them",
  ENOSPC: "processes are in the cgroup: it cannot be left without CPUs or memory nodes",
};

export const cpuset: Controller = {
  name: "cpuset",
  settings({ cpu }) {
    const settings: Setting[] = [];
    if (cpu?.cpus) settings.push({ field: "cpu.cpus", file: "cpuset.cpus", data: cpu.cpus, hints: HINTS });
    if (cpu?.mems) settings.push({ field: "cpu.mems", file: "cpuset.mems", data: cpu.mems, hints: HINTS });
    return settings;
  },
};

/**
 * Fills the cpusets that are still empty from the directory above each, top down. `levels` are the directories below
 * an existing one, the container's own last. With `home`, the first of them is made to hand its CPUs and nodes on to
 * those made below it later (cgroup.clone_children), which then costs nothing for each container.
 */
export function inheritCpuset(levels: readonly string[], home: boolean): void {
  const last = levels.at(-1);
  // A clone gets both, and a directory gets its memory nodes after its CPUs: looking at one is enough.
  if (last === undefined || (home && !isEmpty(readText(`${last}/cpuset.mems`)))) return;
  for (const directory of levels) {
    const above = directory.slice(0, directory.lastIndexOf("/"));
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (isEmpty(readText(`${directory}/${file}`)))
        writeFile(`${directory}/${file}`, inheritedList(above, file));
    }
    if (home && directory !== last) writeFile(`${directory}/cgroup.clone_children`, "1");
  }
}

/** What the cgroup above has. Where it has none of its own (cpuset_v2_mode), what it really gets. */
function inheritedList(above: string, file: string): string {
  const list = readText(`${above}/${file}`);
  const effective = file.replace("cpuset.", "cpuset.effective_");
  return isEmpty(list) ? (readTextIfAny(`${above}/${effective}`) ?? list) : list;
}

function isEmpty(list: string): boolean {
  return list.trim() === "";
}

/** `0-2,5` to 0, 1, 2, 5. */
export function listNumbers(list: string): number[] {
  const numbers: number[] = [];
  for (const range of list.trim().split(",")) {
    if (range === "") continue;
    const [first, last] = range.split("-").map(Number);
    if (first === undefined) continue;
    for (let at = first; at <= (last ?? first); at++) numbers.push(at);
  }
  return numbers;
}

/** `cpuset` of the counters. */
export function cpusetStats(directory: string): CgroupStats {
  const list = (file: string): number[] => listNumbers(readTextIfAny(`${directory}/${file}`) ?? "");
  const value = (file: string): unknown => readCounter(directory, `cpuset.${file}`) ?? 0;
  const level = Number((readTextIfAny(`${directory}/cpuset.sched_relax_domain_level`) ?? "0").trim());
  return {
    ...omitEmpty({ cpus: list("cpuset.cpus") }),
    cpu_exclusive: value("cpu_exclusive"),
    ...omitEmpty({ mems: list("cpuset.mems") }),
    mem_hardwall: value("mem_hardwall"),
    mem_exclusive: value("mem_exclusive"),
    memory_migrate: value("memory_migrate"),
    memory_spread_page: value("memory_spread_page"),
    memory_spread_slab: value("memory_spread_slab"),
    memory_pressure: value("memory_pressure"),
    sched_load_balance: value("sched_load_balance"),
    sched_relax_domain_level: level,
  };
}
