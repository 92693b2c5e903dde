/**
 * What the kernel counts for a cgroup, by a name that is the same for both versions of cgroups.
 */
import { readFileSync } from "node:fs";

type Paths = Readonly<Record<string, string>>;
/** Controller of v1 (`unified` for v2), file, the key of a line in it, and what its number is to be divided by. */
type Source = readonly [controller: string, file: string, key?: string | undefined, unit?: number];

const SOURCES = {
  /** Seconds. */
  cpuTime: [
    ["cpuacct", "cpuacct.usage", undefined, 1e9],
    ["unified", "cpu.stat", "usage_usec", 1e6],
  ],
  periods: [
    ["cpu", "cpu.stat", "nr_periods"],
    ["unified", "cpu.stat", "nr_periods"],
  ],
  throttledPeriods: [
    ["cpu", "cpu.stat", "nr_throttled"],
    ["unified", "cpu.stat", "nr_throttled"],
  ],
  bursts: [
    ["cpu", "cpu.stat", "nr_bursts"],
    ["unified", "cpu.stat", "nr_bursts"],
  ],
  /** Bytes. */
  memory: [
    ["memory", "memory.usage_in_bytes"],
    ["unified", "memory.current"],
  ],
  memoryKills: [
    ["memory", "memory.oom_control", "oom_kill"],
    ["unified", "memory.events", "oom_kill"],
  ],
  /** Bytes that are on swap now. */
  swap: [
    ["memory", "memory.stat", "swap"],
    ["unified", "memory.swap.current"],
  ],
  forksRefused: [
    ["pids", "pids.events", "max"],
    ["unified", "pids.events", "max"],
  ],
} as const satisfies Readonly<Record<string, readonly [v1: Source, v2: Source]>>;

export type CounterName = keyof typeof SOURCES;

/** The counter now, of the version that the cgroup has the controller in. */
export function readCount(paths: Paths, name: CounterName): number {
  const [v1, v2] = SOURCES[name];
  const [controller, file, key, unit = 1]: Source = paths[v1[0]] === undefined ? v2 : v1;
  const text = readFileSync(`${paths[controller]}/${file}`, "utf8");
  const found = key === undefined ? text : new RegExp(`^${key} (\\d+)$`, "m").exec(text)?.[1];
  if (found === undefined) throw new Error(`${file} does not count ${key}`);
  return Number(found) / unit;
}
