/**
 * Arguments in, values out: the command lines that Docker's users type, judged against citty's argument definitions.
 * citty's own parser keeps one value of a repeated flag, takes flags behind IMAGE for its own and lets unknown ones
 * pass; this one does none of these. Not here: what a verb does with the values, or help (help.ts).
 */
import { type CtrError, fail } from "../error.ts";

/** A flag. What citty knows of it, and what it does not: `repeatable`. */
export interface FlagDef {
  readonly type: "boolean" | "string";
  readonly description: string;
  /** Other names; one of a single letter is used with one dash. */
  readonly alias?: string | readonly string[];
  readonly valueHint?: string;
  /** A string flag that may be given many times: its value is a list. */
  readonly repeatable?: boolean;
}

/** An argument that is no flag. `rest` takes all that are left, as they are. */
export interface PositionalDef {
  readonly type: "positional";
  readonly description: string;
  readonly required?: boolean;
  readonly rest?: boolean;
}

/** The arguments of a verb, by name. */
export type Defs = Readonly<Record<string, FlagDef | PositionalDef>>;

type ValueOf<D> = D extends { readonly type: "boolean" }
  ? boolean
  : D extends { readonly rest: true } | { readonly repeatable: true }
    ? readonly string[]
    : D extends { readonly type: "positional"; readonly required: false }
      ? string | undefined
      : D extends { readonly type: "positional" }
        ? string
        : string | undefined;

/** What {@link parseArgv} makes of definitions `T`. */
export type Values<T extends Defs> = { readonly [K in keyof T]: ValueOf<T[K]> };

/** How a command line is read. */
export interface ParseOptions {
  /** The verb, for messages: `run`. */
  readonly verb: string;
  /** Whether all that stands behind the first positional belongs to it: `run --rm IMAGE ls -l`. */
  readonly stopAtPositional?: boolean;
  /** Whether a word such as `-1` is no flag: for verbs without flags of digits. */
  readonly numbersArePositional?: boolean;
}

/** Values by name, and whether `--help` was among the flags (then nothing else is judged). */
export type Outcome<T extends Defs> =
  | { readonly help: true }
  | { readonly help: false; readonly values: Values<T>; readonly given: ReadonlySet<string> };

/**
 * Reads a command line strictly.
 * @throws CtrError USAGE (exit code 125) for a flag that is not known, a value that is missing or not wanted, and too
 *   few or too many positionals.
 */
export function parseArgv<const T extends Defs>(
  argv: readonly string[],
  defs: T,
  options: ParseOptions,
): Outcome<T> {
  const flags = flagTable(defs);
  const values: Record<string, boolean | string | string[] | undefined> = {};
  const given = new Set<string>();
  for (const [name, def] of Object.entries(defs)) values[name] = emptyValue(def);

  const positionals: string[] = [];
  let at = 0;
  const set = ({ name, def }: NamedFlag, shown: string, value: string | undefined): void => {
    given.add(name);
    if (def.type === "boolean") {
      values[name] = asBoolean(value, shown, options.verb);
      return;
    }
    const text = value ?? argv[at++];
    if (text === undefined) throw usage(`flag needs an argument: ${shown}`, options.verb);
    const list = values[name];
    if (Array.isArray(list)) list.push(text);
    else values[name] = text;
  };

  while (at < argv.length) {
    const word = argv[at++] ?? "";
    if (word === "--") {
      positionals.push(...argv.slice(at));
      break;
    }
    const isNumber = options.numbersArePositional === true && /^-\d/.test(word);
    if (word === "-" || !word.startsWith("-") || isNumber) {
      positionals.push(word);
      if (options.stopAtPositional !== true) continue;
      positionals.push(...argv.slice(at));
      break;
    }
    const equals = word.indexOf("=");
    if (word.startsWith("--")) {
      const shown = equals < 0 ? word : word.slice(0, equals);
      const flag = flags.get(shown);
      if (flag === undefined) {
        if (shown === "--help") return { help: true };
        throw unknownFlag(shown, [...flags.keys()], options.verb);
      }
      set(flag, shown, equals < 0 ? undefined : word.slice(equals + 1));
      continue;
    }
    for (let index = 1; index < word.length; index++) {
      const shown = `-${word[index]}`;
      const flag = flags.get(shown);
      if (flag === undefined) {
        if (shown === "-h") return { help: true };
        throw unknownFlag(shown, [], options.verb, word);
      }
      const rest = word.slice(index + 1);
      if (flag.def.type === "boolean" && !rest.startsWith("=")) {
        set(flag, shown, undefined);
        continue;
      }
      set(flag, shown, rest === "" ? undefined : rest.replace(/^=/, ""));
      break;
    }
  }
  fillPositionals(positionals, defs, values, options.verb);
  return { help: false, values: values as Values<T>, given };
}

/** An error of usage: exit code 125, and the way to the verb's help. */
export function usage(message: string, verb: string, hint?: string): CtrError {
  const see = verb === "" ? "see 'ctr-bun --help'" : `see 'ctr-bun ${verb} --help'`;
  return fail({
    code: "USAGE",
    message,
    hint: hint === undefined ? see : `${hint}; ${see}`,
    exitCode: 125,
  });
}

/** Of `known`, the one that a mistyped `word` is likely meant to be. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const reach = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  let least = reach + 1;
  for (const candidate of known) {
    const steps = editDistance(word, candidate);
    if (steps < least) [best, least] = [candidate, steps];
  }
  return best;
}

interface NamedFlag {
  readonly name: string;
  readonly def: FlagDef;
}

/** By the words that they are written as: `-e`, `--env`. */
function flagTable(defs: Defs): Map<string, NamedFlag> {
  const table = new Map<string, NamedFlag>();
  for (const [name, def] of Object.entries(defs)) {
    if (def.type === "positional") continue;
    const alias = def.alias ?? [];
    for (const each of [name, ...(typeof alias === "string" ? [alias] : alias)]) {
      table.set(each.length === 1 ? `-${each}` : `--${each}`, { name, def });
    }
  }
  return table;
}

function emptyValue(def: FlagDef | PositionalDef): boolean | string[] | undefined {
  if (def.type === "boolean") return false;
  const list = def.type === "positional" ? def.rest : def.repeatable;
  return list === true ? [] : undefined;
}

function asBoolean(value: string | undefined, shown: string, verb: string): boolean {
  if (value === undefined || /^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw usage(`invalid value ${JSON.stringify(value)} for ${shown}: it is true or false`, verb);
}

function unknownFlag(shown: string, known: readonly string[], verb: string, within?: string): CtrError {
  const where = within === undefined || within === shown ? "" : ` in ${within}`;
  const meant = nearest(shown, known);
  return usage(
    `unknown flag: ${shown}${where}`,
    verb,
    meant === undefined ? undefined : `did you mean ${meant}?`,
  );
}

function fillPositionals(
  words: readonly string[],
  defs: Defs,
  values: Record<string, unknown>,
  verb: string,
): void {
  let at = 0;
  for (const [name, def] of Object.entries(defs)) {
    if (def.type !== "positional") continue;
    const missing = at >= words.length;
    if (missing && def.required !== false) throw usage(`${name.toUpperCase()} is missing`, verb);
    if (def.rest === true) {
      values[name] = words.slice(at);
      at = words.length;
    } else if (!missing) {
      values[name] = words[at++];
    }
  }
  if (at < words.length) throw usage(`unexpected argument: ${JSON.stringify(words[at])}`, verb);
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
