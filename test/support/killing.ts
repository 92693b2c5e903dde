// Kills the init, or ctr-bun itself, at a random moment of create or run, and judges what comes of it: an error, or a
// container that was made and ended; never a success without one; and nothing left once it is deleted.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID } from "./bundle.ts";
import { leftAfter, look, noteChildren, type Seen } from "./left.ts";
import type { Random } from "./random.ts";

/** What one round came to, for counting; `fault` is what must not be. */
export interface Round {
  readonly outcome: string;
  readonly fault?: string;
}

const HANGS = 20_000;

/** Spins: a timer would be too coarse, and the moments that matter are microseconds long. */
function spin(microseconds: number): void {
  const end = Bun.nanoseconds() + microseconds * 1000;
  while (Bun.nanoseconds() < end);
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** Ended, or at least a zombie. */
function hasEnded(pid: number): boolean {
  const found = look(pid);
  return found === undefined || found.state === "Z";
}

/** Mostly small, up to 20 ms: stage 0 lives for a fraction of a millisecond, the rest takes a few. */
function someMoment(random: Random): number {
  return 10 ** (random.next() * 4.3);
}

interface Started {
  readonly pid: number;
  /** Exit code and what was said; a hang ends in the code -1. */
  ended(): Promise<{ code: number; err: string }>;
}

function start(bundle: Bundle, verb: string, id: string): Started {
  const child = Bun.spawn([CTR_BUN, "--root", bundle.state, verb, "--bundle", bundle.path, id], {
    stdin: "ignore",
    stdout: "ignore",
    // A container that outlives ctr-bun would keep a pipe open.
    stderr: Bun.file(join(bundle.path, "err")),
  });
  return {
    pid: child.pid,
    async ended() {
      const code = await Promise.race([child.exited, Bun.sleep(HANGS).then(() => -1)]);
      if (code === -1) child.kill("SIGKILL");
      return { code, err: await Bun.file(join(bundle.path, "err")).text() };
    },
  };
}

/** The init is killed: any process that ctr-bun has as a child at a random moment after the first one came. */
export async function killInit(bundle: Bundle, verb: "create" | "run", random: Random): Promise<Round> {
  const id = freshID();
  const seen: Seen = new Map();
  const started = start(bundle, verb, id);
  const victims: number[] = [];
  while (!hasEnded(started.pid) && noteChildren(started.pid, seen).length === 0);
  if (random.next() < 0.8) spin(someMoment(random));
  const children = noteChildren(started.pid, seen);
  const all = random.next() < 0.2;
  const chosen = all ? children : children.slice(0, 1);
  for (const pid of chosen) if (kill(pid)) victims.push(pid);
  noteChildren(started.pid, seen);
  const { code, err } = await started.ended();
  const fault = (what: string): Round => ({
    outcome: "fault",
    fault: `${verb} ${id}, killed ${victims.join(" and ") || "nobody"}: ${what} (exit code ${code}, ${JSON.stringify(err)})`,
  });
  if (code === -1) {
    bundle.ctr("delete", "--force", id);
    return fault("hung");
  }
  let outcome = code === 0 ? `${verb} done` : `${verb} failed`;
  if (code !== 0 && err === "" && !(verb === "run" && code === 137)) return fault("failed without a word");
  if (code !== 0 && existsSync(join(bundle.state, id))) return fault("failed and left its state");
  if (verb === "create" && code === 0) {
    const status = JSON.parse(bundle.ctr("state", id).out).status;
    const begun = bundle.ctr("start", id);
    outcome += `, start ${begun.code === 0 ? "done" : "failed"}`;
    if (status === "stopped" && begun.code === 0) return fault("started what had stopped");
    if (status === "created" && begun.code !== 0) return fault(`start failed: ${begun.err}`);
    const deleted = bundle.ctr("delete", "--force", id);
    if (deleted.code !== 0) return fault(`delete failed: ${deleted.err}`);
  }
  if (verb === "run" && code === 0 && victims.length > 0 && victims.some((pid) => !hasEnded(pid)))
    return fault("ended before its init");
  const left = await leftAfter(bundle, id, seen);
  return left.length === 0 ? { outcome } : fault(`left ${left.join(", ")}`);
}

/** ctr-bun is killed: the init it leaves behind ends by itself, or waits to be started; delete --force takes it all. */
export async function killRuntime(bundle: Bundle, verb: "create" | "run", random: Random): Promise<Round> {
  const id = freshID();
  const seen: Seen = new Map();
  const started = start(bundle, verb, id);
  // Half of the moments from the start of the process, half from the first child on.
  const fromChild = random.next() < 0.7;
  if (fromChild) while (!hasEnded(started.pid) && noteChildren(started.pid, seen).length === 0);
  spin(fromChild ? someMoment(random) : random.next() * 40_000);
  noteChildren(started.pid, seen);
  kill(started.pid);
  const { code, err } = await started.ended();
  const fault = (what: string): Round => ({
    outcome: "fault",
    fault: `${verb} ${id}, ctr-bun killed: ${what} (exit code ${code}, ${JSON.stringify(err)})`,
  });
  const there = existsSync(join(bundle.state, id));
  const made = existsSync(join(bundle.state, id, "state.json"));
  const outcome = `${verb} ${code === 137 ? "killed" : "over"}, ${made ? "record" : there ? "directory" : "nothing"} left`;
  if (!made) {
    // Nobody will ever start it: it must end by itself, before anybody deletes anything.
    const end = performance.now() + 5000;
    while ([...seen.keys()].some((pid) => !hasEnded(pid)) && performance.now() < end) await Bun.sleep(10);
    const alive = [...seen.keys()].filter((pid) => !hasEnded(pid));
    if (alive.length > 0) return fault(`the init ${alive.join(", ")} goes on`);
  }
  const deleted = bundle.ctr("delete", "--force", id);
  if (deleted.code !== 0) return fault(`delete failed: ${deleted.err}`);
  const left = await leftAfter(bundle, id, seen);
  return left.length === 0 ? { outcome } : fault(`left ${left.join(", ")}`);
}

/** Plays rounds of both in turn. Returns how often each outcome came, and the faults. */
export async function killAtRandom(
  bundle: Bundle,
  rounds: number,
  random: Random,
): Promise<{ outcomes: Record<string, number>; faults: string[] }> {
  const outcomes: Record<string, number> = {};
  const faults: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const verb = random.below(2) === 0 ? "create" : "run";
    const play = round % 2 === 0 ? killInit : killRuntime;
    const { outcome, fault } = await play(bundle, verb, random);
    const name = `${play === killInit ? "init" : "ctr-bun"}: ${outcome}`;
    outcomes[name] = (outcomes[name] ?? 0) + 1;
    if (fault !== undefined) faults.push(fault);
  }
  return { outcomes, faults };
}
