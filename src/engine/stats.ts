/**
 * `stats`: what containers use, counted twice to tell how much of a CPU that is, again and again if asked.
 * Not here: the counters themselves (runtime/events.ts, cgroup drivers), or how they are printed (cli).
 */
import { readTextIfAny } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { type ContainerEvent, containerStats } from "../runtime/lifecycle.ts";
import { findContainer, listRecords, readRecord } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { ContainerRecord } from "./record.ts";
import { containerStatus } from "./status.ts";

/** What a container used until now. Bytes, but for what says otherwise. */
export interface Usage {
  /** When it was counted, in milliseconds of {@link performance.now}. */
  readonly at: number;
  /** Nanoseconds of CPU time. */
  readonly cpu: number;
  /** Without what the kernel gives back at once: files that are not in use. */
  readonly memory: number;
  /** All of the host's where there is no limit, or a higher one. */
  readonly memoryLimit: number;
  readonly received: number;
  readonly sent: number;
  readonly read: number;
  readonly written: number;
  readonly pids: number;
}

/** A container and what it uses; `usage` undefined: it does not run, or nothing counts it. */
export interface ContainerUsage {
  readonly record: Pick<ContainerRecord, "id" | "name">;
  /** As the person called it. */
  readonly asked: string;
  readonly usage: Usage | undefined;
  /** Of one CPU, in percent, since it was last counted. */
  readonly cpuPercent: number;
}

export interface StatsRequest {
  /** Those that are to be shown; none: all that run. */
  readonly names: readonly string[];
  /** Of all, those too that do not run. */
  readonly all: boolean;
  readonly once: boolean;
  /** A descriptor whose reader is told: when that has gone, nobody listens any more. */
  readonly listener: number;
  onUsage(usage: readonly ContainerUsage[]): void;
}

/** Milliseconds between two counts, and before the first is told. */
const [INTERVAL, FIRST] = [1000, 500];

/**
 * Tells what containers use, once or until nobody listens or all that were named have ended. Blocks the thread.
 * @throws CtrError NOT_FOUND, AMBIGUOUS for a name.
 */
export function watchUsage(engine: Engine, request: StatsRequest): void {
  const { names, all, once, listener, onUsage } = request;
  const named = names.map((asked) => ({ asked, id: findContainer(engine.settings.store, asked).id }));
  const known = new Map<string, ContainerRecord>();
  const look = (): { asked: string; record: ContainerRecord }[] => {
    if (named.length === 0) return chosen(engine, all).map((record) => ({ asked: record.id, record }));
    return named.flatMap(({ asked, id }) => {
      // One that was removed meanwhile keeps its place.
      const record = readRecord(engine.settings.store, id) ?? known.get(id);
      if (record !== undefined) known.set(id, record);
      return record === undefined ? [] : [{ asked, record }];
    });
  };
  let before = countAll(engine, look());
  for (let wait = FIRST; ; wait = INTERVAL) {
    const [deaf = 0] = poll([{ fd: listener, events: 0 }], wait);
    if (deaf !== 0) return;
    const seen = look();
    const now = countAll(engine, seen);
    onUsage(
      seen.map(({ asked, record }) => {
        const usage = now.get(record.id);
        return { asked, record, usage, cpuPercent: cpuPercent(before.get(record.id), usage) };
      }),
    );
    before = now;
    if (once || (named.length > 0 && now.size === 0)) return;
  }
}

function chosen(engine: Engine, all: boolean): ContainerRecord[] {
  const records = listRecords(engine.settings.store, engine.warn);
  return all ? records : records.filter((record) => containerStatus(engine, record).status === "running");
}

function countAll(
  engine: Engine,
  seen: readonly { readonly record: ContainerRecord }[],
): ReadonlyMap<string, Usage> {
  const total = hostMemory();
  return new Map(
    seen.flatMap(({ record }) => {
      const usage = countOne(engine, record, total);
      return usage === undefined ? [] : [[record.id, usage] as const];
    }),
  );
}

/** Undefined for one that does not run, or whose cgroup counts nothing. */
function countOne(engine: Engine, record: ContainerRecord, total: number): Usage | undefined {
  const { status, pid } = containerStatus(engine, record);
  if (status !== "running") return undefined;
  let event: ContainerEvent;
  try {
    event = containerStats(engine.stateRoot, record.id, engine.registry);
  } catch {
    // It ended meanwhile, or it was made without a cgroup.
    return undefined;
  }
  const net = record.host.network === "host" ? undefined : read(`/proc/${pid}/net/dev`);
  return { at: performance.now(), ...usageOf(event.data ?? {}, total), ...networkUsage(net ?? "") };
}

function read(path: string): string | undefined {
  try {
    return readTextIfAny(path);
  } catch {
    // Of a process that has just ended.
    return undefined;
  }
}

function hostMemory(): number {
  const [, kibibytes] = /^MemTotal:\s+(\d+) kB/m.exec(readTextIfAny("/proc/meminfo") ?? "") ?? [];
  return Number(kibibytes ?? 0) * 1024;
}

/** Of one CPU, in percent: two that are busy are 200. */
export function cpuPercent(
  before: Pick<Usage, "at" | "cpu"> | undefined,
  after: Pick<Usage, "at" | "cpu"> | undefined,
): number {
  if (before === undefined || after === undefined || after.at <= before.at) return 0;
  const nanoseconds = (after.at - before.at) * 1e6;
  return Math.max(((after.cpu - before.cpu) / nanoseconds) * 100, 0);
}

/** From counters in runc's shape. @param total the host's memory. */
export function usageOf(
  stats: Readonly<Record<string, unknown>>,
  total: number,
): Omit<Usage, "at" | "received" | "sent"> {
  const memory = numberAt(stats, "memory", "usage", "usage");
  const limit = numberAt(stats, "memory", "usage", "limit");
  // v1 counts the cgroups below in names of their own.
  const unused = ["total_inactive_file", "inactive_file"]
    .map((name) => numberAt(stats, "memory", "raw", name))
    .find((value) => value > 0);
  return {
    cpu: numberAt(stats, "cpu", "usage", "total"),
    memory: unused !== undefined && unused < memory ? memory - unused : memory,
    memoryLimit: limit > 0 && limit < total ? limit : total,
    ...diskUsage(at(stats, "blkio", "ioServiceBytesRecursive")),
    pids: numberAt(stats, "pids", "current"),
  };
}

function diskUsage(entries: unknown): Pick<Usage, "read" | "written"> {
  const sum = (op: string): number =>
    (Array.isArray(entries) ? (entries as unknown[]) : [])
      .filter((entry) => String(at(entry, "op")).toLowerCase() === op)
      .reduce<number>((bytes, entry) => bytes + numberAt(entry, "value"), 0);
  return { read: sum("read"), written: sum("write") };
}

/** All devices of a network namespace but its loopback, from its /proc/net/dev (proc_pid_net(5)). */
export function networkUsage(text: string): Pick<Usage, "received" | "sent"> {
  let [received, sent] = [0, 0];
  for (const line of text.split("\n")) {
    const [, name, counters] = /^\s*([^:\s]+):\s*(.+)$/.exec(line) ?? [];
    if (name === undefined || name === "lo" || counters === undefined) continue;
    const fields = counters.trim().split(/\s+/).map(Number);
    received += fields[0] ?? 0;
    sent += fields[8] ?? 0;
  }
  return { received, sent };
}

function at(value: unknown, ...path: string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return found;
}

function numberAt(value: unknown, ...path: string[]): number {
  const found = at(value, ...path);
  return typeof found === "number" || typeof found === "bigint" ? Number(found) : 0;
}
