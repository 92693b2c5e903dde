// One script, played by an engine with runc as its runtime and at the same time with ctr-bun: what both ways did is
// compared step by step. A step also says what runc's way must come to, so that two failures are no likeness.

import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CTR_BUN, type Result } from "./bundle.ts";
import { likeRunc, linesShown, sorted } from "./engine-words.ts";
import { runOnTerminal, type TerminalRun } from "./terminal.ts";

/** The names that the engine knows the runtimes by: of one length, and nowhere else in what is shown. */
const NAMES = { theirs: "peer-a", ours: "peer-b" } as const;
type Name = (typeof NAMES)[keyof typeof NAMES];

/** The runtimes under these names: programs that note what they are called with, and become runc or ctr-bun. */
export interface Runtimes {
  readonly path: Record<Name, string>;
  /** The verbs and flags that each was called with, each form once, in order of the alphabet. */
  calls(name: Name): string[];
}

export const runtimeNames: readonly Name[] = [NAMES.theirs, NAMES.ours];

export function makeRuntimes(folder: string): Runtimes {
  const programs = { [NAMES.theirs]: "runc", [NAMES.ours]: CTR_BUN };
  const make = (name: Name): string => {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\necho "$*" >> ${path}.calls\nexec ${programs[name]} "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  };
  return {
    path: { [NAMES.theirs]: make(NAMES.theirs), [NAMES.ours]: make(NAMES.ours) } as Record<Name, string>,
    calls(name) {
      const log = join(folder, `${name}.calls`);
      const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
      // Of arguments, only what is a flag, a verb or a signal is of interest; the rest are paths and IDs.
      const forms = lines.map((line) =>
        line.replace(/\b[0-9a-f]{64}\b|\S*\/\S+|\b[\w.-]*peer-[ab]\b/g, "…").replaceAll(/\b(e\d+)\b/g, "…"),
      );
      // When podman asks for the state is a matter of time: after a signal that came too late.
      return [...new Set(forms)].filter((form) => !/(^|json )state /.test(form)).sort();
    },
  };
}

/** Runs a command to its end, or for a minute; its output goes through files, as in runCommand. */
export async function command(
  line: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; input?: string } = {},
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "ctr-bun-output-"));
  const [out, err] = [join(folder, "out"), join(folder, "err")];
  try {
    const { input, ...rest } = options;
    const child = Bun.spawn([...line], {
      stdin: input === undefined ? "ignore" : new Blob([input]),
      stdout: Bun.file(out),
      stderr: Bun.file(err),
      timeout: 60_000,
      killSignal: "SIGKILL",
      ...rest,
    });
    const code = await child.exited;
    const text = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");
    return { code, out: text(out), err: text(err) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How an engine is called with one of the runtimes. */
export interface Engine {
  /** The whole command line for the engine's arguments. */
  line(name: Name, args: readonly string[]): string[];
  readonly options: { cwd: string; env: Record<string, string> };
}

interface Step {
  readonly did: string;
  readonly outcome: unknown;
}

/** What a step's output is made of before it is compared: with this as it is, with numbers as shapes, in order. */
export interface Ways {
  /** What runc's standard output and error must match. */
  readonly shows?: RegExp;
  /** Texts that differ from run to run: each is replaced by its name. */
  readonly mask?: Readonly<Record<string, RegExp>>;
  /** Lines come in no order. */
  readonly unordered?: boolean;
  /** Standard input. */
  readonly input?: string;
}

/** One of the two ways through a script. */
export interface Way {
  readonly runtime: Name;
  /** A name that the other way does not use; the same one in what is compared. */
  name(base: string): string;
  /** Calls the engine; runc's way must exit with 0. */
  ok(args: readonly string[], ways?: Ways): Promise<Result>;
  /** Calls the engine; runc's way must exit with `code`. */
  fails(code: number, args: readonly string[], ways?: Ways): Promise<Result>;
  /** Calls the engine on a terminal; runc's way must exit with `code`. The lines shown are compared, each once. */
  typed(code: number, args: readonly string[], talk: (terminal: TerminalRun) => Promise<void>): Promise<void>;
  /** Compares a value too; `proof` must hold of runc's. */
  note<Value>(what: string, value: Value, proof: (value: Value) => boolean): void;
  /** Calls the engine and compares nothing: cleaning up, waiting. */
  quietly(args: readonly string[]): Promise<Result>;
}

interface Played {
  readonly steps: Step[];
  /** What runc's way should have come to, and did not. */
  readonly unproved: string[];
}

async function play(engine: Engine, name: Name, script: (way: Way) => Promise<void>): Promise<Played> {
  const steps: Step[] = [];
  const unproved: string[] = [];
  const clean = (text: string, { mask = {}, unordered = false }: Ways = {}): string => {
    let masked = likeRunc(text.replaceAll(name, "PEER"));
    for (const [as, pattern] of Object.entries(mask)) masked = masked.replace(pattern, as);
    return unordered ? sorted(masked) : masked;
  };
  /** What was done, short enough to be read. */
  const named = (args: readonly string[]) =>
    clean(args.map((arg) => (arg.length > 80 ? `${arg.trim().slice(0, 80)}…` : arg)).join(" "));
  const call = async (code: number, args: readonly string[], ways: Ways = {}): Promise<Result> => {
    const { input } = ways;
    const options = input === undefined ? engine.options : { ...engine.options, input };
    const result = await command(engine.line(name, args), options);
    const did = named(args);
    steps.push({
      did,
      outcome: { code: result.code, out: clean(result.out, ways), err: clean(result.err, ways) },
    });
    if (result.code !== code) unproved.push(`${did}: exit code ${result.code}: ${result.out}${result.err}`);
    if (ways.shows !== undefined && !ways.shows.test(result.out + result.err)) {
      unproved.push(`${did}: ${ways.shows} not in ${JSON.stringify(result.out + result.err)}`);
    }
    return result;
  };
  await script({
    runtime: name,
    name: (base) => `${base}-${name}`,
    ok: (args, ways) => call(0, args, ways),
    fails: call,
    async typed(code, args, talk) {
      const { cwd, env } = engine.options;
      const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
      const terminal = runOnTerminal([
        "env",
        "-i",
        `--chdir=${cwd}`,
        ...variables,
        ...engine.line(name, args),
      ]);
      const did = named(args);
      try {
        await talk(terminal);
        const ended = await terminal.ended();
        steps.push({ did, outcome: { code: ended, shown: linesShown(clean(terminal.shown())) } });
        if (ended !== code) unproved.push(`${did}: exit code ${ended}: ${terminal.shown()}`);
      } catch (error) {
        // The script goes on, and takes away what it made.
        steps.push({ did, outcome: `${error}` });
        unproved.push(`${did}: ${error}`);
      } finally {
        terminal.close();
      }
    },
    note(what, value, proof) {
      steps.push({ did: what, outcome: typeof value === "string" ? clean(value) : value });
      if (!proof(value)) unproved.push(`${what}: ${JSON.stringify(value)}`);
    },
    quietly: (args) => command(engine.line(name, args), engine.options),
  });
  return { steps, unproved };
}

/** Types a line again and again until a text has been shown. */
export async function typeUntil(terminal: TerminalRun, line: string, text: string): Promise<void> {
  for (let tries = 0; tries < 100 && !terminal.shown().includes(text); tries++) {
    terminal.type(line);
    await Bun.sleep(100);
  }
  await terminal.until(text);
}

/** Waits until `logs` of a container has a text; the comparison of its logs tells where it does not come. */
export async function untilLogged(way: Way, name: string, text: string): Promise<void> {
  const end = performance.now() + 20_000;
  while (performance.now() < end) {
    if ((await way.quietly(["logs", name])).out.includes(text)) return;
    await Bun.sleep(100);
  }
}

/** Tells its terminal, and whether it has got the size 33 91; goes on after an interrupt, ends with 5 at `end`. */
export const TYPED_SCRIPT = [
  "trap 'echo broken off' INT; tty; echo ready",
  'while :; do read a; case $a in size) [ "$(stty size 2>/dev/null)" = "33 91" ] 2>/dev/null && echo resized;; end) exit 5;; esac; done',
].join("; ");

/** Types at that script: a new size, an interrupt, its end. */
export async function typeOnTerminal(terminal: TerminalRun): Promise<void> {
  await terminal.until("ready");
  // A client that has not begun to listen for the signal has missed the first one.
  for (let tries = 0; tries < 60 && !terminal.shown().includes("resized"); tries++) {
    terminal.resize(90 + (tries % 2), 33);
    terminal.type("size\n");
    await Bun.sleep(200);
  }
  await terminal.until("resized");
  terminal.type("\x03");
  await terminal.until("broken off");
  terminal.type("end\n");
}

/** A test that plays the script with both runtimes at once. */
export function compared(title: string, engine: () => Engine, script: (way: Way) => Promise<void>): void {
  test(title, async () => {
    const [theirs, ours] = await Promise.all([
      play(engine(), NAMES.theirs, script),
      play(engine(), NAMES.ours, script),
    ]);
    expect(theirs.unproved).toEqual([]);
    expect(ours.steps).toEqual(theirs.steps);
  });
}

/** A test, to be the last one, that the engine called both in the same way. Returns nothing: it looks at the notes. */
export function comparedCalls(runtimes: () => Runtimes, verbs: readonly string[]): void {
  test("the engine calls both with the same verbs and flags", () => {
    const theirs = runtimes().calls(NAMES.theirs);
    expect(verbs.filter((verb) => !theirs.some((line) => line.split(" ").includes(verb)))).toEqual([]);
    expect(runtimes().calls(NAMES.ours)).toEqual(theirs);
  });
}
