// Verbs that meet at one container at the same moment. Each ends well, or with an error that says what came in between;
// `list` and `state` beside them never fail and never show half of anything; then `delete --force` takes it all away.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inBackground } from "./background.ts";
import { type Bundle, freshID, type Result } from "./bundle.ts";
import { leftAfter } from "./left.ts";
import type { Random } from "./random.ts";

type Verb = (id: string, bundle: Bundle) => string[];

/** Who meets in what situation, and what must hold of the exit codes besides. */
interface Race {
  readonly name: string;
  readonly before: readonly Verb[];
  readonly meet: readonly Verb[];
  /** What is wrong with the results, in the order of `meet`. */
  judge?(results: readonly Result[]): string | undefined;
}

const verb =
  (...args: string[]): Verb =>
  (id) => [...args, id];
const make =
  (...args: string[]): Verb =>
  (id, { path }) => [...args, "--bundle", path, id];
const create = make("create");
const run = make("run", "-d");
const foreground = make("run");
const start = verb("start");
const kill = verb("kill");
const remove = verb("delete");
const force = verb("delete", "--force");
const killHard: Verb = (id) => ["kill", id, "KILL"];
const exec: Verb = (id) => ["exec", "-d", id, "sleep", "100"];
const update: Verb = (id) => ["update", "--pids-limit", "50", id];

const one = (results: readonly Result[]) => {
  const codes = results.map(({ code }) => code).toSorted();
  return codes.filter((code) => code === 0).length === 1 ? undefined : `exit codes ${codes.join(", ")}`;
};
const all = (results: readonly Result[]) =>
  results.every(({ code }) => code === 0)
    ? undefined
    : `exit codes ${results.map(({ code }) => code).join(", ")}`;

const RACES: readonly Race[] = [
  { name: "start and delete --force", before: [create], meet: [start, force] },
  { name: "start and kill", before: [create], meet: [start, killHard] },
  { name: "start and delete", before: [create], meet: [start, remove] },
  { name: "two starts", before: [create], meet: [start, start], judge: one },
  { name: "two deletes", before: [create], meet: [remove, remove], judge: one },
  { name: "two deletes --force", before: [run], meet: [force, force], judge: all },
  { name: "two creates of one ID", before: [], meet: [create, create], judge: one },
  { name: "create and delete --force", before: [], meet: [create, force] },
  { name: "run and delete --force", before: [], meet: [foreground, force] },
  { name: "exec and delete --force", before: [run], meet: [exec, force] },
  { name: "exec, kill and delete --force", before: [run], meet: [exec, kill, force] },
  { name: "pause and delete --force", before: [run], meet: [verb("pause"), force] },
  { name: "pause, resume and kill", before: [run], meet: [verb("pause"), verb("resume"), killHard] },
  { name: "two updates and delete --force", before: [run], meet: [update, update, force] },
  {
    name: "start, exec, pause, kill and delete",
    before: [create],
    meet: [start, exec, verb("pause"), killHard, remove],
  },
  { name: "delete --force and create anew", before: [run], meet: [force, create] },
];

/** Errors that say what came in between. */
const EXPLAINED = [
  "container does not exist",
  "container with given ID already exists",
  "cannot start an already running container",
  "cannot start a container that has stopped",
  "cannot start a container in the paused state",
  "the container's init ended before its program started",
  "the container's init was killed by signal 9",
  "container not running",
  "container not paused",
  "container process already exited",
  "that is not stopped",
  "cannot exec in a stopped container",
  "cannot exec in a paused container",
  "the pid namespace to join has lost its init",
  "the container has ended meanwhile",
];
/** What a state that is printed has. */
const FIELDS = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"];

function explained({ code, err }: Result): boolean {
  if (code === 0) return err === "";
  // A container in the foreground that is killed ends as its program does.
  if (code === 137 && err === "") return true;
  return EXPLAINED.some((words) => err.includes(words));
}

/** Looks at it again and again until told to stop; what it saw that must not be. */
async function lookOn(bundle: Bundle, id: string, over: () => boolean): Promise<string[]> {
  const faults: string[] = [];
  const whole = (value: Record<string, unknown>) => FIELDS.every((field) => value[field] !== undefined);
  while (!over()) {
    const listed = await inBackground(bundle, "list", "--format", "json");
    if (listed.code !== 0 || listed.err !== "") faults.push(`list: ${listed.code}, ${listed.err}`);
    else if (!((JSON.parse(listed.out) ?? []) as Record<string, unknown>[]).every(whole))
      faults.push(`list: ${listed.out}`);
    const state = await inBackground(bundle, "state", id);
    if (state.code === 0 ? state.err !== "" || !whole(JSON.parse(state.out)) : !explained(state))
      faults.push(`state: ${state.code}, ${state.out}, ${state.err}`);
  }
  return faults;
}

/** Milliseconds. */
const HANGS = 20_000;

/** One race; each contestant begins up to some milliseconds after the first. */
async function meet(bundle: Bundle, race: Race, random: Random): Promise<string[]> {
  const id = freshID();
  const stopped = join(bundle.path, "stopped");
  rmSync(stopped, { force: true });
  bundle.configure(["sleep", "100"], (config) => {
    config.process.rlimits = [];
    config.hooks = { poststop: [{ path: "/bin/sh", args: ["sh", "-c", `echo once >>${stopped}`] }] };
    if (random.below(3) === 0)
      config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== "pid");
  });
  for (const before of race.before) {
    const args = before(id, bundle);
    const { code, err } = bundle.ctr(...args);
    if (code !== 0) throw new Error(`${args.join(" ")}: ${err}`);
  }
  rmSync(stopped, { force: true });
  const faults: string[] = [];
  let over = false;
  const looking = lookOn(bundle, id, () => over);
  const spread = random.below(2) === 0 ? 5 : 60;
  const results = Promise.all(
    race.meet.map(async (contestant) => {
      await Bun.sleep(random.next() * spread);
      return inBackground(bundle, ...contestant(id, bundle));
    }),
  );
  const inForeground = race.meet.includes(foreground);
  const early = await Promise.race([results, Bun.sleep(inForeground ? 1000 : HANGS).then(() => undefined)]);
  if (early === undefined) {
    // One in the foreground ends when it is deleted, and may have been made after that.
    if (!inForeground) faults.push("hung");
    bundle.ctr("delete", "--force", id);
  }
  const ended = early ?? (await results);
  over = true;
  faults.push(...(await looking));
  ended.forEach((result, at) => {
    if (!explained(result))
      faults.push(`${race.meet[at]?.(id, bundle).join(" ")}: ${result.code}, ${result.err}`);
  });
  const wrong = race.judge?.(ended);
  if (wrong !== undefined) faults.push(wrong);
  const deleted = bundle.ctr("delete", "--force", id);
  if (deleted.code !== 0 || deleted.err !== "") faults.push(`delete: ${deleted.code}, ${deleted.err}`);
  faults.push(...(await leftAfter(bundle, id, new Map())).map((what) => `left ${what}`));
  const times = stoppedTimes(stopped);
  if (!race.meet.includes(create) && !inForeground && times !== 1) faults.push(`poststop ran ${times} times`);
  return faults.map((fault) => `${race.name}: ${fault}`);
}

/** How often the poststop hook ran. */
function stoppedTimes(path: string): number {
  return existsSync(path) ? readFileSync(path, "utf8").split("once").length - 1 : 0;
}

/** Plays races, as many in all, each chosen at random. */
export async function playRaces(bundle: Bundle, rounds: number, random: Random): Promise<string[]> {
  const faults: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const race = RACES[random.below(RACES.length)];
    if (race !== undefined) faults.push(...(await meet(bundle, race, random)));
  }
  return faults;
}
