/**
 * The files of a container's cgroups that systemd writes anew, whenever it is told anything of the unit: what they hold,
 * and the same again behind it. Those of a cgroup below the unit's it leaves alone, and then nothing is to be done.
 * Source: cgroup_context_apply() of systemd (src/core/cgroup.c).
 */
import { check } from "../../src/kernel/check.ts";
import { readTextIfAny, tryWriteFile } from "../../src/kernel/file.ts";
import { wholeText } from "../cgroup-common/journal.ts";

type Paths = Readonly<Record<string, string>>;

/** By the key of the cgroup among the paths, in the order in which they fit each other. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  unified: [
    "cpu.idle",
    "cpu.weight",
    "cpu.max",
    "cpuset.cpus",
    "cpuset.mems",
    "memory.min",
    "memory.low",
    "memory.high",
    "memory.max",
    "memory.swap.max",
    "memory.zswap.max",
    "memory.zswap.writeback",
    "memory.oom.group",
    "pids.max",
    "io.weight",
    "io.bfq.weight",
  ],
  cpu: ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"],
  memory: ["memory.limit_in_bytes"],
  // BFQ takes a weight for all devices for the end of those for single ones.
  blkio: ["blkio.weight", "blkio.bfq.weight", "blkio.bfq.weight_device"],
  pids: ["pids.max"],
};

/** A file and what it holds. */
export interface Held {
  readonly path: string;
  readonly text: string;
}

/** What the files hold now. */
export function heldFiles(paths: Paths): Held[] {
  const held: Held[] = [];
  for (const [key, directory] of Object.entries(paths)) {
    for (const file of FILES[key] ?? []) {
      const path = `${directory}/${file}`;
      const text = readTextIfAny(path);
      // An idle cgroup takes no weight.
      const idle = file === "cpu.weight" && held.at(-1)?.path === `${directory}/cpu.idle`;
      if (text !== undefined && !(idle && held.at(-1)?.text.trim() === "1")) held.push({ path, text });
    }
  }
  return held;
}

/** Writes again what has changed. Throws the kernel's error for what it refuses. */
export function holdAgain(held: readonly Held[]): void {
  const [first] = tryHold(held);
  if (first === undefined) return;
  const message = "cannot write again what systemd has written over";
  check(first.result, { syscall: "write", path: first.path, message });
}

/** As {@link holdAgain}: the files that could not be written. */
export function stuckFiles(held: readonly Held[]): string[] {
  return tryHold(held).map(({ path }) => path);
}

/** Returns what is still not as it was, with the -errno. Twice, since quota and period must fit each other at any time. */
function tryHold(held: readonly Held[]): { path: string; result: number }[] {
  const left = held.filter((each) => writeAgain(each) < 0);
  return left
    .map((each) => ({ path: each.path, result: writeAgain(each) }))
    .filter(({ result }) => result < 0);
}

/** 0 or -errno. */
function writeAgain({ path, text }: Held): number {
  try {
    if (readTextIfAny(path) === text) return 0;
  } catch {
    // Writing fails as well, and its error is given.
  }
  for (const line of wholeText(text)) {
    const result = tryWriteFile(path, line);
    if (result < 0) return result;
  }
  return 0;
}
