/**
 * What a verb is: citty's command definition, with our own reading of its arguments.
 * Not here: the verbs (one file each), or which there are (engine.ts).
 */
import { type ArgsDef, type CommandDef, defineCommand } from "citty";
import type { Engine } from "../engine/engine.ts";
import { type Defs, parseArgv, type Values } from "./argv.ts";
import type { ReportOptions } from "./report.ts";

/** What a verb works with. Settings are read, drivers loaded and the host probed when `engine` is first called. */
export interface VerbContext {
  engine(): Promise<Engine>;
  readonly report: ReportOptions;
  /** Global flags as they were given. */
  readonly globals: Globals;
  /** Prints help on a verb, or on all. */
  help(topic: string | undefined): Promise<number>;
}

/** Flags before the verb. */
export interface Globals {
  readonly config: string | undefined;
  readonly store: string | undefined;
  readonly snapshotter: string | undefined;
  readonly "log-format": string | undefined;
  readonly driver: readonly string[];
}

/** A verb, as its file writes it. */
export interface VerbDefinition<T extends Defs> {
  readonly name: string;
  readonly description: string;
  /** What stands behind the name in the line of usage: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  readonly args: T;
  /** Whether flags end at the first positional. */
  readonly stopAtPositional?: boolean;
  /** Whether a word such as `-1` is an argument. */
  readonly numbersArePositional?: boolean;
  /** Exit code of its errors that have none of their own; 1. */
  readonly errorCode?: number;
  /** What help says at its end. */
  readonly notes?: string;
  run(values: Values<T>, context: VerbContext, given: ReadonlySet<string>): Promise<number>;
}

/** A verb made ready: `start` reads its arguments and runs it. `help`: its help was asked for. */
export interface Verb {
  readonly command: CommandDef;
  readonly usage: string;
  readonly notes: string | undefined;
  readonly errorCode: number;
  /** Of a group: its verbs, each loaded when it is called. */
  readonly verbs?: Readonly<Record<string, () => Promise<Verb>>>;
  start(argv: readonly string[], context: VerbContext): Promise<number | "help">;
}

/** Makes a verb. */
export function verb<const T extends Defs>(definition: VerbDefinition<T>): Verb {
  const { name, description, args } = definition;
  return {
    command: defineCommand({ meta: { name, description }, args: helpArgs(args) }),
    usage: definition.usage,
    notes: definition.notes,
    errorCode: definition.errorCode ?? 1,
    async start(argv, context) {
      const outcome = parseArgv(argv, args, {
        verb: name,
        stopAtPositional: definition.stopAtPositional === true,
        numbersArePositional: definition.numbersArePositional === true,
      });
      return outcome.help ? "help" : await definition.run(outcome.values, context, outcome.given);
    },
  };
}

/** Makes a verb that is a group of verbs: `seccomp explain`. Without one of them it shows its help. */
export function group(definition: {
  readonly name: string;
  readonly description: string;
  readonly verbs: Readonly<Record<string, () => Promise<Verb>>>;
}): Verb {
  const { name, description, verbs } = definition;
  return {
    command: defineCommand({
      meta: { name, description },
      subCommands: Object.fromEntries(
        Object.entries(verbs).map(([each, load]) => [each, async () => (await load()).command]),
      ),
    }),
    usage: "COMMAND ...",
    notes: undefined,
    errorCode: 1,
    verbs,
    async start(argv, context) {
      const [first] = argv;
      if (first === undefined) return await context.help(name);
      const outcome = parseArgv(argv.slice(0, 1), {}, { verb: name });
      return outcome.help ? "help" : 0;
    },
  };
}

/** For citty's help, which writes every alias with one dash: those of one letter only. */
function helpArgs(args: Defs): ArgsDef {
  return Object.fromEntries(
    Object.entries(args).map(([name, def]) => {
      const aliases = def.type === "positional" || def.alias === undefined ? [] : [def.alias].flat();
      return [name, { ...def, alias: aliases.filter((alias) => alias.length === 1) }];
    }),
  ) as ArgsDef;
}
