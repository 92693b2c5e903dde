// The verbs of the OCI level, each killed right before one of its steps (stepping.ts), and what must hold afterwards:
// `list` works, `state` gives the whole or nothing, no init goes on that nobody can start, `delete --force` succeeds, and
// nothing is left.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { inBackground } from "./background.ts";
import { type Bundle, CTR_BUN, freshID } from "./bundle.ts";
import type { Config } from "./config.ts";
import { leftAfter, look, type Seen } from "./left.ts";
import type { Random } from "./random.ts";
import { stepTo } from "./stepping.ts";

/** A verb in a situation. */
export interface Scene {
  readonly name: string;
  /** About how many calls it makes: a later one is not reached, and the verb comes to its end. */
  readonly calls: number;
  /** What of the config is different. */
  change?(config: Config, bundle: Bundle): void;
  /** Verbs before it. */
  before?(id: string, bundle: Bundle): string[][];
  verb(id: string, bundle: Bundle): string[];
}

const hook = [{ path: "/bin/true" }];
const HOOKS = {
  prestart: hook,
  createRuntime: hook,
  createContainer: hook,
  startContainer: hook,
  poststart: hook,
  poststop: hook,
};
const withHooks = (config: Config) => {
  config.hooks = HOOKS;
};
const inUserNamespace = ({ linux }: Config) => {
  linux.namespaces.push({ type: "user" });
  linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
  linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
};
const withoutPids = ({ linux }: Config) => {
  linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
};
const make =
  (verb: string, ...flags: string[]) =>
  (id: string, { path }: Bundle) => [verb, ...flags, "--bundle", path, id];
const created = (id: string, { path }: Bundle) => [["create", "--bundle", path, id]];
const running = (id: string, { path }: Bundle) => [["run", "-d", "--bundle", path, id]];
/** Of a terminal's socket. */
const consoleSocketOf = ({ path }: Bundle) => join(path, "console");

const SCENES: readonly Scene[] = [
  { name: "create", calls: 143, verb: make("create") },
  { name: "create with hooks", calls: 154, change: withHooks, verb: make("create") },
  { name: "create in a user namespace", calls: 153, change: inUserNamespace, verb: make("create") },
  { name: "create without a pid namespace", calls: 138, change: withoutPids, verb: make("create") },
  {
    name: "create with a terminal",
    calls: 142,
    change(config) {
      config.process.terminal = true;
    },
    verb: (id, bundle) => make("create", "--console-socket", consoleSocketOf(bundle))(id, bundle),
  },
  { name: "run", calls: 162, change: withHooks, verb: make("run", "-d") },
  { name: "start", calls: 10, change: withHooks, before: created, verb: (id) => ["start", id] },
  { name: "exec", calls: 29, before: running, verb: (id) => ["exec", "-d", id, "sleep", "100"] },
  {
    name: "exec without a pid namespace",
    calls: 29,
    change: withoutPids,
    before: running,
    verb: (id) => ["exec", "-d", id, "sleep", "100"],
  },
  { name: "pause", calls: 3, before: running, verb: (id) => ["pause", id] },
  { name: "kill", calls: 2, before: running, verb: (id) => ["kill", id, "KILL"] },
  {
    name: "delete of a created one",
    calls: 22,
    change: withHooks,
    before: created,
    verb: (id) => ["delete", id],
  },
  {
    name: "delete --force",
    calls: 22,
    change: withHooks,
    before: running,
    verb: (id) => ["delete", "--force", id],
  },
  {
    name: "delete --force without a pid namespace",
    calls: 18,
    change: withoutPids,
    before: running,
    verb: (id) => ["delete", "--force", id],
  },
  {
    name: "delete --force of a paused one",
    calls: 20,
    before: (id, bundle) => [...running(id, bundle), ["pause", id]],
    verb: (id) => ["delete", "--force", id],
  },
];

/** Milliseconds: less than ctr-bun itself waits for what does not end, and enough for a busy machine. */
const PATIENCE = 9000;

const ended = (pid: number) => [undefined, "Z"].includes(look(pid)?.state);

async function judge(bundle: Bundle, id: string, seen: Seen): Promise<string[]> {
  const faults: string[] = [];
  const listed = await inBackground(bundle, "list");
  if (listed.code !== 0 || listed.err !== "") faults.push(`list: ${listed.code}, ${listed.err}`);
  const state = await inBackground(bundle, "state", id);
  if (state.code === 0) {
    const { status } = JSON.parse(state.out);
    if (!["created", "running", "paused", "stopped"].includes(status)) faults.push(`state: ${status}`);
  } else if (!state.err.includes("container does not exist")) faults.push(`state: ${state.err}`);
  if (!existsSync(join(bundle.state, id, "state.json"))) {
    // Nobody will ever start it: it must end by itself, before anybody deletes anything.
    const end = performance.now() + PATIENCE;
    const goOn = () => [...seen.keys()].filter((pid) => !ended(pid));
    while (goOn().length > 0 && performance.now() < end) await Bun.sleep(5);
    if (goOn().length > 0) faults.push(`the init ${goOn().join(", ")} goes on`);
  }
  const began = performance.now();
  const deleted = await inBackground(bundle, "delete", "--force", id);
  if (deleted.code !== 0 || deleted.err !== "") faults.push(`delete: ${deleted.code}, ${deleted.err}`);
  if (performance.now() - began > PATIENCE) faults.push("delete waited for nothing");
  return faults;
}

/** Plays the scene, killed right before the call with this index; what must not be. */
async function playScene(bundle: Bundle, scene: Scene, at: number): Promise<string[]> {
  const id = freshID();
  bundle.configure(["sleep", "100"], (config) => {
    config.process.rlimits = [];
    scene.change?.(config, bundle);
  });
  for (const verb of scene.before?.(id, bundle) ?? []) {
    const { code, err } = bundle.ctr(...verb);
    if (code !== 0) throw new Error(`${verb.join(" ")}: ${err}`);
  }
  const command = [CTR_BUN, "--root", bundle.state, ...scene.verb(id, bundle)];
  const errors = join(bundle.path, "err");
  const stepped = stepTo(command, errors, at);
  const faults: string[] = [];
  // It came to its end: that must be a good one.
  if (stepped.code !== 137 && stepped.code !== 0)
    faults.push(`ended with ${stepped.code}: ${await Bun.file(errors).text()}`);
  await stepped.settle(
    judge(bundle, id, stepped.seen).then((found) => {
      faults.push(...found);
    }),
  );
  faults.push(...(await leftAfter(bundle, id, stepped.seen)).map((what) => `left ${what}`));
  return faults.map(
    (fault) => `${scene.name}, killed before ${at}, ${stepped.calls[at] ?? "its end"}: ${fault}`,
  );
}

/** Plays scenes, as many in all, each chosen at random, and killed at a step chosen at random. */
export async function playScenes(bundle: Bundle, rounds: number, random: Random): Promise<string[]> {
  const faults: string[] = [];
  // Root of a user namespace may not make the directories that are mounted on: one of the host's does so first.
  const first = bundle.run(["true"], (config) => {
    config.process.rlimits = [];
  });
  if (first.code !== 0) throw new Error(`run: ${first.err}`);
  // Whoever wants the terminal need not take it: it is connected and sent before anybody does.
  const socket = Bun.listen({ unix: consoleSocketOf(bundle), socket: { data() {} } });
  try {
    for (let round = 0; round < rounds; round++) {
      const scene = SCENES[random.below(SCENES.length)];
      if (scene === undefined) continue;
      faults.push(...(await playScene(bundle, scene, random.below(scene.calls))));
    }
  } finally {
    socket.stop(true);
  }
  return faults;
}
