/**
 * Counting processes that were killed for memory in a cgroup that systemd removes as soon as nobody is in it, often before
 * anybody could read its counters once more. They are read whenever the kernel says that they have changed. What comes
 * between the last reading and the end is told by the cgroups above, which count what happens below them: but only where
 * the kernel has said so of the cgroup itself, since others are killed there too.
 * Source: Documentation/admin-guide/cgroup-v2.rst, memory.events; mm/memcontrol.c: the counter rises, and those who wait
 * are woken, before the process is killed. On v1 the cgroups above count nothing.
 */
import type { CgroupDriver, EventWatch, KillWatch } from "../../src/driver.ts";
import { statusOf } from "../../src/kernel/file.ts";
import { holdFile } from "../../src/kernel/notify.ts";
import { parsePairs, readPairs } from "../cgroup-common/read.ts";

type Paths = Readonly<Record<string, string>>;

const FILE = "memory.events";
const COUNTER = "oom_kill";
/**
 * How long ago a change may have been told that belongs to the end, in milliseconds. The kernel tells of changes of a file
 * every 10 ms at most (kernel/cgroup/cgroup.c), ctr-bun looks every 100; the rest is for the process to end.
 */
const RECENT = 1000;

/** Where kills are counted. */
export interface KillCounters {
  /** Of the cgroup itself; undefined once it is gone. */
  own(): number | undefined;
  /** Of those that count these among others, by name, the nearest first; one that is gone is left out. */
  above(): ReadonlyMap<string, number>;
  /** Whether the cgroup's own counters were said to have changed since the last time, also where it is gone by now. */
  takeChange(): boolean;
}

/** Returns a function that counts; what it says when the cgroup is gone is its last word. `now`: in milliseconds. */
export function countKills(
  { own, above, takeChange }: KillCounters,
  now: () => number = () => performance.now(),
): () => number {
  let before = above();
  let seen = own() ?? 0;
  let told = Number.NEGATIVE_INFINITY;
  let end: number | undefined;
  return () => {
    if (end !== undefined) return end;
    // Read before its own, so that nothing is in neither.
    const around = above();
    if (takeChange()) told = now();
    const mine = own();
    if (mine !== undefined) {
      before = around;
      seen = mine;
      return seen;
    }
    end = seen + (now() - told < RECENT ? rise(before, above()) : 0);
    return end;
  };
}

/** Of the nearest that still is there: a slice may go with its last unit. */
function rise(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  for (const [name, kills] of after) {
    const old = before.get(name);
    if (old !== undefined) return kills - old;
  }
  return 0;
}

/** Watches a container's cgroup on v2 with the memory controller; nothing is to be told of any other. */
export function watchKills(paths: Paths): KillWatch | undefined {
  const directory = paths.unified;
  const path = `${directory}/${FILE}`;
  if (directory === undefined || statusOf(path) === undefined) return undefined;
  const file = holdFile(path);
  const own = (): number | undefined => {
    const text = file.read();
    return text === undefined ? undefined : Number(parsePairs(text)[COUNTER] ?? 0);
  };
  const directories = directoriesAbove(directory);
  const count = countKills({ own, above: () => killsAbove(directories), takeChange: file.takeChange });
  return { fds: [file.fd], count, close: file.close };
}

/** The nearest first. */
function directoriesAbove(directory: string): string[] {
  const parts = directory.split("/").slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, parts.length - index).join("/")}`);
}

/** The root of the hierarchy has no such file: for that the whole system is counted. */
function killsAbove(directories: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (directory: string, file: string): void => {
    const { [COUNTER]: kills } = readPairs(directory, file);
    if (kills !== undefined) counts.set(directory, Number(kills));
  };
  for (const directory of directories) count(directory, FILE);
  count("/proc", "vmstat");
  return counts;
}

/** What the driver of its hierarchy tells of the cgroup, and kills to the end. */
export function watchUnitEvents(driver: CgroupDriver, paths: Paths): EventWatch {
  const watch = driver.watchEvents(paths);
  const kills = watchKills(paths);
  if (kills === undefined) return watch;
  let told = kills.count();
  return {
    fds: [...watch.fds, ...kills.fds],
    take() {
      const events = watch.take();
      const count = kills.count();
      const ooms = Array.from({ length: Math.max(count - told, 0) }, () => ({ type: "oom" }));
      told = count;
      if (events === undefined && ooms.length === 0) return undefined;
      return [...ooms, ...(events ?? []).filter(({ type }) => type !== "oom")];
    },
    close() {
      watch.close();
      kills.close();
    },
  };
}
