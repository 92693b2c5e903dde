/**
 * The engine's command line: global flags, one verb loaded and run, errors told, an exit code.
 * Not here: the OCI level (oci/), what verbs do (their files), or the process's own exit (main.ts).
 */
import type { CommandDef } from "citty";
import { asCtrError, type CtrError, fail } from "../error.ts";
import { isTerminal } from "../kernel/terminal.ts";
import { nearest, parseArgv, usage } from "./argv.ts";
import type { Globals, Verb, VerbContext } from "./command.ts";
import { type LogFormat, type ReportOptions, reportError } from "./report.ts";

/** Verbs by name; each is loaded when it is needed. */
const VERBS = {
  run: async () => (await import("./run.ts")).default,
  exec: async () => (await import("./exec.ts")).default,
  ps: async () => (await import("./ps.ts")).default,
  kill: async () => (await import("./kill.ts")).default,
  rm: async () => (await import("./rm.ts")).default,
  update: async () => (await import("./update.ts")).default,
  stats: async () => (await import("./stats.ts")).default,
  top: async () => (await import("./top.ts")).default,
  inspect: async () => (await import("./inspect.ts")).default,
  pull: async () => (await import("./pull.ts")).default,
  images: async () => (await import("./images.ts")).default,
  rmi: async () => (await import("./rmi.ts")).default,
  plan: async () => (await import("./plan.ts")).default,
  seccomp: async () => (await import("./seccomp.ts")).default,
  config: async () => (await import("./config.ts")).default,
  version: async () => (await import("./version.ts")).default,
  help: async () => (await import("./help.ts")).default,
} as const satisfies Record<string, () => Promise<Verb>>;

/** Names of the engine's verbs. */
export const ENGINE_VERBS: readonly string[] = Object.keys(VERBS);

/** Flags that stand before the verb. */
export const GLOBAL_FLAGS = {
  config: {
    type: "string",
    description: "Configuration file (CTR_BUN_CONFIG)",
    valueHint: "FILE",
  },
  store: {
    type: "string",
    description: "Where images and containers are kept (CTR_BUN_STORE)",
    valueHint: "DIR",
  },
  snapshotter: { type: "string", description: "Driver that keeps root file systems", valueHint: "NAME" },
  driver: {
    type: "string",
    repeatable: true,
    description: "File with a driver of your own",
    valueHint: "FILE",
  },
  "log-format": { type: "string", description: "Form of errors: text or json", valueHint: "FORMAT" },
  version: { type: "boolean", alias: "v", description: "Print the version" },
  verb: { type: "positional", required: false, description: "What to do" },
  rest: { type: "positional", rest: true, required: false, description: "Its arguments" },
} as const;

/** The verb by that name, loaded; one of a group by both: `seccomp explain`. */
export async function loadVerb(name: string): Promise<Verb | undefined> {
  const [first = "", ...more] = name.split(" ");
  let verb = Object.hasOwn(VERBS, first) ? await VERBS[first as keyof typeof VERBS]() : undefined;
  for (const word of more) {
    verb =
      verb?.verbs !== undefined && Object.hasOwn(verb.verbs, word) ? await verb.verbs[word]?.() : undefined;
  }
  return verb;
}

/** The verb that a command line names, and what is left for it. */
async function findVerb(name: string, rest: readonly string[]) {
  const verb = await loadVerb(name);
  if (verb === undefined) throw unknownCommand(name, ENGINE_VERBS, "");
  const [word] = rest;
  if (verb.verbs === undefined || word === undefined || word.startsWith("-")) return { name, verb, rest };
  const member = await loadVerb(`${name} ${word}`);
  if (member === undefined) throw unknownCommand(word, Object.keys(verb.verbs), name);
  return { name: `${name} ${word}`, verb: member, rest: rest.slice(1) };
}

/** The whole tree, for help; citty resolves a sub-command when it is asked for it. */
export const rootCommand: CommandDef = {
  meta: { name: "ctr-bun", description: "Containers: an OCI runtime and a daemonless engine" },
  args: {},
  subCommands: Object.fromEntries(
    Object.entries(VERBS).map(([name, load]) => [name, async () => (await load()).command]),
  ),
};

/** Runs an engine command line, without the program's name. @returns the exit code. */
export async function engineMain(argv: string[]): Promise<number> {
  // Files that containers see must not depend on the caller's umask; the rest is made with modes of its own.
  process.umask(0o022);
  let report: ReportOptions = { format: "text", color: isTerminal(2) && noColor() === false };
  let errorCode = 125;
  try {
    const outcome = parseArgv(argv, GLOBAL_FLAGS, { verb: "", stopAtPositional: true });
    if (outcome.help) return await showHelp(undefined);
    const { verb: first, rest: words, version, ...globals } = outcome.values;
    if (first === undefined && !version) return await showHelp(undefined);
    report = { ...report, format: wantedFormat(globals, report.format) };
    const { name, verb, rest } = await findVerb(version ? "version" : (first ?? ""), version ? [] : words);
    errorCode = verb.errorCode;
    const context: VerbContext = {
      async engine() {
        const { openEngine } = await import("./context.ts");
        const engine = await openEngine(globals, report);
        report = { ...report, format: engine.settings.logFormat };
        return engine;
      },
      report,
      globals,
      help: showHelp,
    };
    const code = await verb.start(rest, context);
    return code === "help" ? await showHelp(name) : code;
  } catch (thrown) {
    const error = asCtrError(thrown);
    await reportError(error, report);
    return error.exitCode ?? errorCode;
  }
}

async function showHelp(topic: string | undefined): Promise<number> {
  const { printHelp } = await import("./help-text.ts");
  return await printHelp(topic, { root: rootCommand, globals: GLOBAL_FLAGS, load: loadVerb });
}

/** Before the configuration is read, so that errors in it are told in the form that was asked for. */
function wantedFormat(globals: Globals, fallback: LogFormat): LogFormat {
  const text = globals["log-format"] ?? process.env.CTR_BUN_LOG_FORMAT;
  return text === "json" ? "json" : fallback;
}

/** https://no-color.org */
function noColor(): boolean {
  return (process.env.NO_COLOR ?? "") !== "";
}

/** @param group the verb whose commands are meant; empty for ctr-bun's own. */
function unknownCommand(name: string, known: readonly string[], group: string): CtrError {
  const meant = nearest(name, known);
  const message = `unknown command: ${JSON.stringify(group === "" ? name : `${group} ${name}`)}`;
  if (meant === undefined) return usage(message, group);
  return fail({
    code: "USAGE",
    message,
    hint: `did you mean ${meant}? See 'ctr-bun ${group === "" ? "" : `${group} `}--help'`,
    exitCode: 125,
  });
}
