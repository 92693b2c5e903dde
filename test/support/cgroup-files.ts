// Every file of a container's cgroup, in each hierarchy that it is in, to be compared between two runtimes. What cannot be
// the same in two containers, or cannot be read, is left out here, with the reason.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname } from "node:path";
import { probeCgroups } from "../../src/runtime/host-cgroup.ts";

/** Files by their names, and why they are not compared. */
const LEFT_OUT: readonly (readonly [file: RegExp, why: string])[] = [
  [/^(tasks|cgroup\.(procs|threads))$/, "numbers of processes"],
  [
    /^(devices\.(allow|deny)|cgroup\.(event_control|kill)|memory\.(force_empty|pressure_level|reclaim)|blkio\.reset_stats)$/,
    "only written to",
  ],
  [
    /usage|\.(current|peak|stat|stat\.local|pressure)$|^(memory|cpuset)\.\w+_pressure$/,
    "what is used just now",
  ],
  [/_stat$|slabinfo$|failcnt$|\.events(\.local)?$/, "what was counted"],
  [/^blkio\.(throttle|bfq)\.io_serv/, "what was counted, by devices that were used"],
];

/** Hierarchy (v1: the first of the controllers that are mounted there together) to where it is mounted. */
export function hierarchies(): Readonly<Record<string, string>> {
  mounted ??= findHierarchies();
  return mounted;
}

let mounted: Readonly<Record<string, string>> | undefined;

function findHierarchies(): Record<string, string> {
  const { controllers, unified } = probeCgroups();
  const found: Record<string, string> = {};
  for (const [name, point] of Object.entries(controllers))
    if (!Object.values(found).includes(point)) found[name] = point;
  if (unified !== undefined) found.unified = unified;
  return found;
}

/** Names of the hierarchies in which there is such a cgroup. */
export function whereFound(path: string): string[] {
  return Object.entries(hierarchies()).flatMap(([name, point]) =>
    existsSync(`${point}/${path}`) ? [name] : [],
  );
}

/** `controller/file` to what is in it; lists of devices in order of the alphabet. `path` is below each mount point. */
export function cgroupFiles(path: string): Record<string, string> {
  const points = Object.entries(hierarchies());
  return filesOf(Object.fromEntries(points.map(([name, point]) => [name, `${point}/${path}`])));
}

/** The same of the cgroups that a process is in. */
export function cgroupFilesOf(pid: number): Record<string, string> {
  const directories: Record<string, string> = {};
  for (const [, names = "", path] of readFileSync(`/proc/${pid}/cgroup`, "utf8").matchAll(
    /^\d+:([^:]*):(.*)$/gm,
  )) {
    const name = names === "" ? "unified" : (names.split(",")[0] ?? "");
    const point = hierarchies()[name];
    if (point !== undefined) directories[name] = `${point}${path}`;
  }
  return filesOf(directories);
}

function filesOf(directories: Readonly<Record<string, string>>): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [hierarchy, directory] of Object.entries(directories)) {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (!entry.isFile() || LEFT_OUT.some(([pattern]) => pattern.test(entry.name))) continue;
      const lines = readFileSync(`${directory}/${entry.name}`, "utf8").trim().split("\n");
      if (entry.name === "devices.list") lines.sort();
      files[`${hierarchy}/${entry.name}`] = lines.join("; ");
    }
  }
  return files;
}

/** Whether a cgroup holds all of these, given as lines of `controller/file value`. */
export function holds(files: Readonly<Record<string, string>>, ...lines: string[]): boolean {
  return lines.every((line) => {
    const blank = line.indexOf(" ");
    return files[line.slice(0, blank)] === line.slice(blank + 1);
  });
}

/** Processes of a cgroup in each hierarchy. */
export function processesIn(path: string): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(hierarchies()).map(([name, point]) => {
      const text = readFileSync(`${point}/${path}/cgroup.procs`, "utf8");
      return [name, text.split("\n").filter(Boolean).map(Number)];
    }),
  );
}

/** Makes a cgroup in all hierarchies, with the CPUs and memory nodes of the one above it. */
export function makeCgroup(path: string): void {
  for (const point of Object.values(hierarchies())) {
    const directory = `${point}/${path}`;
    mkdirSync(directory);
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const above = `${dirname(directory)}/${file}`;
      if (existsSync(`${directory}/${file}`) && existsSync(above))
        Bun.spawnSync(["sh", "-c", 'cat "$0" > "$1"', above, `${directory}/${file}`]);
    }
  }
}

/** Removes a cgroup, and those below it, from all hierarchies. Fails while there are processes in it. */
export function removeCgroup(path: string): void {
  const remove = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true }))
      if (entry.isDirectory()) remove(`${directory}/${entry.name}`);
    rmdirSync(directory);
  };
  for (const point of Object.values(hierarchies()))
    if (existsSync(`${point}/${path}`)) remove(`${point}/${path}`);
}

/** The same as soon as nobody is in it any more. */
export async function removeWhenLeft(path: string): Promise<void> {
  for (let tries = 0; whereFound(path).length > 0; tries++) {
    try {
      removeCgroup(path);
    } catch (error) {
      if (tries > 500) throw error;
      await Bun.sleep(20);
    }
  }
}
