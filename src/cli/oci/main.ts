/** The command line of the OCI level: runc's global options, one verb loaded and run, errors logged, an exit code. */

import { asCtrError, fail } from "../../error.ts";
import { print } from "../../kernel/output.ts";
import { OCI_ROOT, ociRoot } from "../../runtime/state.ts";
import { type Defs, nearest, parseArgv } from "../argv.ts";
import { createContext } from "./context.ts";
import create from "./create.ts";
import remove from "./delete.ts";
import exec from "./exec.ts";
import features from "./features.ts";
import kill from "./kill.ts";
import list from "./list.ts";
import { type LogOptions, logDebug, logError, logOptions, NO_LOG, openLog } from "./log.ts";
import run from "./run.ts";
import spec from "./spec.ts";
import start from "./start.ts";
import state from "./state.ts";
import type { OciVerb } from "./verb.ts";
import { version, versionLines } from "./version.ts";

type AnyVerb = OciVerb<Defs>;

/** Verbs by name. What a container's life takes is one piece: loading it in parts would take longer than its parts do. */
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
  features,
};

/** The others, each loaded when it is called. */
const MORE_VERBS: Readonly<Record<string, () => unknown>> = {
  pause: () => (require("./pause.ts") as typeof import("./pause.ts")).default,
  resume: () => (require("./resume.ts") as typeof import("./resume.ts")).default,
  update: () => (require("./update.ts") as typeof import("./update.ts")).default,
  events: () => (require("./events.ts") as typeof import("./events.ts")).default,
  checkpoint: () => (require("./checkpoint.ts") as typeof import("./checkpoint.ts")).default,
  restore: () => (require("./restore.ts") as typeof import("./restore.ts")).default,
  devices: () => (require("./devices.ts") as typeof import("./devices.ts")).default,
  ps: () => (require("./ps.ts") as typeof import("./ps.ts")).default,
};

function verbNames(): string[] {
  return [...Object.keys(VERBS), ...Object.keys(MORE_VERBS)];
}

/** runc's global options, and crun's --log-level and --cgroup-manager. */
const GLOBALS = {
  root: {
    type: "string",
    description: `state root (default: ${OCI_ROOT}; of a user: $XDG_RUNTIME_DIR/ctr-bun/oci)`,
  },
  log: { type: "string", description: "file to append errors and warnings to" },
  "log-format": { type: "string", description: "text (default) or json" },
  "log-level": { type: "string", description: "error, warning (default) or debug" },
  debug: { type: "boolean", description: "log every step of what is done" },
  rootless: { type: "string", description: "accepted as runc does: true, false or auto" },
  "systemd-cgroup": { type: "boolean", description: "let systemd make the cgroups" },
  "cgroup-manager": { type: "string", description: "cgroupfs (default), systemd or disabled" },
  criu: { type: "string", description: "accepted as runc does: nothing is checkpointed" },
  version: { type: "boolean", alias: ["v", "V"], description: "print the version" },
  rest: { type: "positional", rest: true, required: false, description: "the verb and its arguments" },
} as const;

/** Runs a command of the OCI level and returns its exit code. */
export async function ociMain(argv: readonly string[]): Promise<number> {
  const outcome: { log: LogOptions; errorCode: number } = { log: NO_LOG, errorCode: 1 };
  try {
    return await runCommandLine(argv, outcome);
  } catch (thrown) {
    const error = asCtrError(thrown);
    logError(error, outcome.log);
    const isProgram = error.exitCode !== undefined && error.code !== "INTERNAL" && error.code !== "USAGE";
    return isProgram ? (error.exitCode ?? 1) : outcome.errorCode;
  }
}

/** `outcome` gets what an error is reported with as soon as it is known. */
async function runCommandLine(
  argv: readonly string[],
  outcome: { log: LogOptions; errorCode: number },
): Promise<number> {
  const parsed = parseArgv(argv, GLOBALS, { verb: "oci", stopAtPositional: true });
  if (parsed.help) return help(undefined);
  const { values } = parsed;
  const log = logOptions(values);
  outcome.log = { ...log, file: undefined };
  openLog(log);
  outcome.log = log;
  if (values.version) {
    print(versionLines());
    return 0;
  }
  checkRootless(values.rootless);
  const manager = cgroupManager(values["cgroup-manager"], values["systemd-cgroup"]);
  const [name = "", ...rest] = values.rest;
  if (name === "" || name === "help" || name === "h") return help(rest[0]);
  const verb = findVerb(name);
  const own = parseArgv(rest, verb.args, { verb: name, stopAtPositional: verb.stopAtPositional ?? false });
  if (own.help) return verbHelp(verb);
  outcome.errorCode = verb.errorCode ?? 1;
  logDebug(() => [`ctr-bun ${version()}: ${name}`], log);
  return await verb.run(
    own.values,
    createContext(
      values.root ?? ociRoot(),
      log,
      manager === "disabled",
      manager === "systemd" ? manager : undefined,
    ),
  );
}

/** As Go reads a boolean, or `auto`. It changes nothing: errors of cgroups are never left out. */
function checkRootless(text: string | undefined): void {
  if (text === undefined || /^(|auto|1|t|true|0|f|false)$/i.test(text)) return;
  throw fail({
    code: "USAGE",
    field: "--rootless",
    message: `invalid value ${JSON.stringify(text)}: true, false or auto`,
  });
}

/** Who makes the cgroups of new containers; every other verb goes by what a container was made with. */
function cgroupManager(manager: string | undefined, systemd: boolean): "cgroupfs" | "systemd" | "disabled" {
  if (manager === undefined) return systemd ? "systemd" : "cgroupfs";
  if (manager === "cgroupfs" || manager === "systemd" || manager === "disabled") {
    if (!systemd || manager === "systemd") return manager;
    throw fail({
      code: "USAGE",
      field: "--systemd-cgroup",
      message: `cannot be given together with --cgroup-manager ${manager}`,
    });
  }
  throw fail({
    code: "USAGE",
    field: "--cgroup-manager",
    message: `unknown cgroup manager ${JSON.stringify(manager)}: cgroupfs, systemd or disabled`,
  });
}

function findVerb(name: string): AnyVerb {
  if (Object.hasOwn(VERBS, name)) return VERBS[name] as AnyVerb;
  if (Object.hasOwn(MORE_VERBS, name)) return MORE_VERBS[name]?.() as AnyVerb;
  const meant = nearest(name, verbNames());
  throw fail({
    code: "USAGE",
    message: `there is no verb ${JSON.stringify(name)}`,
    hint: meant === undefined ? "see `ctr-bun oci help`" : `did you mean ${meant}?`,
  });
}

function help(topic: string | undefined): number {
  if (topic !== undefined) return verbHelp(findVerb(topic));
  const verbs = verbNames().map(findVerb);
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
    const [alias] = [def.alias ?? []].flat();
    const short = alias === undefined ? "    " : `-${alias}, `;
    return [`  ${`${short}--${name}${def.type === "string" ? " VALUE" : ""}`.padEnd(30)} ${def.description}`];
  });
  return `${lines.join("\n")}\n`;
}
