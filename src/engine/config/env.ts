/**
 * The environment of a container: the image's, `--env-file`, `-e`, and what every container has.
 * Not here: reading the files (engine/files.ts); HOME, which needs the user (process.ts).
 */
import { type CtrError, fail } from "../../error.ts";

/** Where programs are looked for when neither image nor person says so: Docker's. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A change of the environment: a value, or none, which takes the variable away. */
export interface EnvChange {
  readonly name: string;
  readonly value: string | undefined;
}

/** The caller's environment. */
export type CallerEnv = Readonly<Record<string, string | undefined>>;

/** `-e NAME=VALUE`; `-e NAME` takes the caller's value, and takes NAME away where the caller has none. */
export function parseEnvFlag(text: string, caller: CallerEnv, field = "--env"): EnvChange {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  if (name === "") throw badEnv(field, `${JSON.stringify(text)} has no variable name`);
  if (text.includes("\0")) throw badEnv(field, `${name} has a NUL character`);
  return { name, value: equals < 0 ? caller[name] : text.slice(equals + 1) };
}

/**
 * The lines of an `--env-file`, as Docker reads them: `NAME=VALUE` with the value as it stands, quotes and all;
 * `NAME` alone takes the caller's value, if there is one; `#` starts a comment only at a line's beginning.
 * @param path for messages.
 */
export function parseEnvFile(text: string, path: string, caller: CallerEnv): EnvChange[] {
  const changes: EnvChange[] = [];
  text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .forEach((raw, index) => {
      const line = raw.trimStart();
      if (line === "" || line.startsWith("#")) return;
      const field = `${path}:${index + 1}`;
      const equals = line.indexOf("=");
      const name = equals < 0 ? line.trimEnd() : line.slice(0, equals);
      if (name === "") throw badEnv(field, "a line has no variable name");
      if (/\s/.test(name))
        throw badEnv(field, `variable ${JSON.stringify(name)} has white space in its name`);
      if (line.includes("\0")) throw badEnv(field, `${name} has a NUL character`);
      if (equals >= 0) changes.push({ name, value: line.slice(equals + 1) });
      else if (caller[name] !== undefined) changes.push({ name, value: caller[name] });
    });
  return changes;
}

/** What the environment is made of. */
export interface EnvSources {
  /** `NAME=VALUE` each, as the image has them; entries without `=` are dropped. */
  readonly image: readonly string[];
  readonly hostname: string;
  readonly terminal: boolean;
  /** `--env-file` first, then `-e`: later ones win. */
  readonly changes: readonly EnvChange[];
}

/** `NAME=VALUE` each, every name once, in the order of first mention: PATH, HOSTNAME, TERM, then the image's. */
export function buildEnv(sources: EnvSources): string[] {
  const env = new Map<string, string>([
    ["PATH", DEFAULT_PATH],
    ["HOSTNAME", sources.hostname],
  ]);
  if (sources.terminal) env.set("TERM", "xterm");
  for (const entry of sources.image) {
    const equals = entry.indexOf("=");
    if (equals > 0 && !entry.includes("\0")) env.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return applyEnv(env, sources.changes);
}

/** An environment with changes made to it, for `exec`. */
export function changeEnv(env: readonly string[], changes: readonly EnvChange[]): string[] {
  const known = new Map<string, string>();
  for (const entry of env) {
    const equals = entry.indexOf("=");
    if (equals > 0) known.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return applyEnv(known, changes);
}

/** Adds HOME, where no one else set it. */
export function withHome(env: readonly string[], home: string): string[] {
  return env.some((entry) => entry.startsWith("HOME=")) ? [...env] : [...env, `HOME=${home}`];
}

function applyEnv(env: Map<string, string>, changes: readonly EnvChange[]): string[] {
  for (const { name, value } of changes) {
    if (value === undefined) env.delete(name);
    else env.set(name, value);
  }
  return [...env].map(([name, value]) => `${name}=${value}`);
}

function badEnv(field: string, message: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message, hint: "write NAME=VALUE, or NAME for your own value" });
}
