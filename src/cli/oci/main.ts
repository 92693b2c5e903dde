/** The command line of the OCI level: runc's global options, one verb loaded and run, errors logged, an exit code. */

import { asCtrError, fail } from "../../error.ts";
import { print } from "../../kernel/output.ts";
import { OCI_ROOT } from "../../runtime/state.ts";
import { type Defs, nearest, parseArgv } from "../argv.ts";
import { createContext } from "./context.ts";
import create from "./create.ts";
import remove from "./delete.ts";
import exec from "./exec.ts";
import kill from "./kill.ts";
import list from "./list.ts";
import { type LogOptions, logError } from "./log.ts";
import run from "./run.ts";
import spec from "./spec.ts";
import start from "./start.ts";
import state from "./state.ts";
import type { OciVerb } from "./verb.ts";
import { versionLines } from "./version.ts";

type AnyVerb = OciVerb<Defs>;

/** Verbs by name. All of this level is one piece: loading it in parts would take longer than its parts do. */
const VERBS: Readonly<Record<string, unknown>> = {
  create,
  start,
  run,
  state,
  kill,
  delete: remove,
  exec,
  list,
  spec,
};

/** runc's global options, and crun's --cgroup-manager. */
const GLOBALS = {
  root: { type: "string", description: `state root (default: ${OCI_ROOT})` },
  log: { type: "string", description: "file to append errors to" },
  "log-format": { type: "string", description: "text (default) or json" },
  debug: { type: "boolean", description: "accepted as runc does" },
  rootless: { type: "string", description: "accepted as runc does: true, false or auto" },
  "systemd-cgroup": { type: "boolean", description: "let systemd make the cgroups" },
  "cgroup-manager": { type: "string", description: "cgroupfs" },
  version: { type: "boolean", alias: "v", description: "print the version" },
  rest: { type: "positional", rest: true, required: false, description: "the verb and its arguments" },
} as const;

function unsupported(field: string, hint: string) {
  return fail({ code: "UNSUPPORTED", field, message: "not supported yet", hint });
}

/** Runs a command of the OCI level and returns its exit code. */
export async function ociMain(argv: readonly string[]): Promise<number> {
  let log: LogOptions = { file: undefined, format: "text" };
  try {
    const outcome = parseArgv(argv, GLOBALS, { verb: "oci", stopAtPositional: true });
    if (outcome.help) return help();
    const { values } = outcome;
    const format = values["log-format"] ?? "text";
    if (format !== "text" && format !== "json") {
      throw fail({
        code: "USAGE",
        field: "--log-format",
        message: `unknown format ${JSON.stringify(format)}: text or json`,
      });
    }
    log = { file: values.log, format };
    if (values.version) {
      print(versionLines());
      return 0;
    }
    if (values["systemd-cgroup"])
      throw unsupported("--systemd-cgroup", "leave it out: cgroups are then made directly");
    const manager = values["cgroup-manager"];
    if (manager !== undefined && manager !== "cgroupfs")
      throw unsupported("--cgroup-manager", "cgroupfs is supported");
    const [name = "", ...rest] = values.rest;
    return name === "" || name === "help" ? help() : await runVerb(name, rest, values.root ?? OCI_ROOT, log);
  } catch (thrown) {
    const error = asCtrError(thrown);
    logError(error, log);
    return error.code === "INTERNAL" || error.exitCode === undefined || error.code === "USAGE"
      ? 1
      : error.exitCode;
  }
}

async function runVerb(
  name: string,
  argv: readonly string[],
  root: string,
  log: LogOptions,
): Promise<number> {
  const verb = Object.hasOwn(VERBS, name) ? (VERBS[name] as AnyVerb) : undefined;
  if (verb === undefined) {
    const meant = nearest(name, Object.keys(VERBS));
    throw fail({
      code: "USAGE",
      message: `there is no verb ${JSON.stringify(name)}`,
      hint: meant === undefined ? "see `ctr-bun oci help`" : `did you mean ${meant}?`,
    });
  }
  const outcome = parseArgv(argv, verb.args, {
    verb: name,
    stopAtPositional: verb.stopAtPositional ?? false,
  });
  if (outcome.help) return verbHelp(verb);
  return await verb.run(outcome.values, createContext(root, log));
}

function help(): number {
  const verbs = Object.values(VERBS) as AnyVerb[];
  const lines = verbs.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`);
  print(`ctr-bun oci [OPTIONS] VERB ...: the OCI runtime\n\n${lines.join("\n")}\n\n${flags(GLOBALS)}`);
  return 0;
}

function verbHelp({ name, about, args }: AnyVerb): number {
  const words = Object.entries(args).flatMap(([key, def]) =>
    def.type === "positional" ? [key.toUpperCase()] : [],
  );
  print(`ctr-bun oci ${name} [OPTIONS] ${words.join(" ")}\n${about}\n\n${flags(args)}`);
  return 0;
}

function flags(args: Defs): string {
  const lines = Object.entries(args).flatMap(([name, def]) => {
    if (def.type === "positional") return [];
    const short = typeof def.alias === "string" ? `-${def.alias}, ` : "    ";
    return [`  ${`${short}--${name}${def.type === "string" ? " VALUE" : ""}`.padEnd(30)} ${def.description}`];
  });
  return `${lines.join("\n")}\n`;
}
