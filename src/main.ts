/**
 * argv -> one of two levels: the OCI runtime that engines call, or the engine that people type. Nothing heavy is
 * imported here, and the OCI path loads nothing of the engine.
 */

import { AT_FDCWD } from "./kernel/constants.ts";
import { cString } from "./kernel/memory.ts";
import { print } from "./kernel/output.ts";
import { sys } from "./kernel/raw.ts";
import { ociRoot } from "./runtime/state.ts";

/** Global options of runc and crun: before a verb, they mean the OCI level. */
const OCI_GLOBALS = [
  "--root",
  "--log",
  "--systemd-cgroup",
  "--rootless",
  "--cgroup-manager",
  "--criu",
  "--debug",
];
/** Verbs that only the OCI level has (so far). */
const OCI_VERBS = new Set(
  "oci create start state delete list spec features pause resume events checkpoint restore".split(" "),
);
/** Verbs of both levels whose first argument is a container. */
const SHARED_VERBS = new Set(["kill", "exec", "ps"]);

/** Whether a command line is for the OCI level. */
export function isOciLevel(argv0: string, argv: readonly string[]): boolean {
  const name = argv0.slice(argv0.lastIndexOf("/") + 1);
  if (name === "runc" || name === "crun" || name === "ctr-bun-oci") return true;
  let at = 0;
  // Both levels have --log-format: it decides nothing.
  for (; argv[at]?.startsWith("--log-format") === true; at++) if (argv[at] === "--log-format") at++;
  const first = argv[at] ?? "";
  if (OCI_GLOBALS.some((option) => first === option || first.startsWith(`${option}=`))) return true;
  if (OCI_VERBS.has(first)) return true;
  const rest = argv.slice(at + 1);
  if (first === "run") return bundleGiven(rest);
  if (first === "update") return resourcesGiven(rest) || isOciContainer(firstArgument(rest, true));
  return SHARED_VERBS.has(first) && isOciContainer(firstArgument(rest));
}

/** runc's word for a file with limits, which the engine has not. */
function resourcesGiven(argv: readonly string[]): boolean {
  return argv.some((word) => /^(?:-r|--resources)(?:=|$)/.test(word));
}

/** Flags of the shared verbs, at either level, that take a value of their own. */
const SHARED_VALUES = new Set(
  "-p --process --console-socket --pid-file --pidfd-socket --cgroup --apparmor --process-label -u --user -g --additional-gids --cwd -w --workdir -e --env --env-file -c --cap --preserve-fds -s --signal --detach-keys -f --format".split(
    " ",
  ),
);

/**
 * The first word that is neither a flag nor a flag's value: the container.
 * @param always whether every flag of the verb takes a value.
 */
function firstArgument(argv: readonly string[], always = false): string {
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--") return argv[at + 1] ?? "";
    if (!word.startsWith("-")) return word;
    if (SHARED_VALUES.has(word) || (always && /^(?:-.|--[^=]+)$/.test(word))) at++;
  }
  return "";
}

/** Flags of the OCI level's run that take a value of their own. */
const OCI_VALUES = new Set(
  "--console-socket --pid-file --pidfd-socket --preserve-fds --config -f --trace".split(" "),
);

/** Whether --bundle is among run's own flags: those before the first word that is none. */
function bundleGiven(argv: readonly string[]): boolean {
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (!word.startsWith("-") || word === "--") return false;
    if (word === "--bundle" || word === "-b" || word.startsWith("--bundle=") || word.startsWith("-b="))
      return true;
    if (OCI_VALUES.has(word)) at++;
  }
  return false;
}

/** Whether the OCI level has a container by that name. */
function isOciContainer(id: string): boolean {
  if (!/^\w[\w+.-]*$/.test(id)) return false;
  // Whoever may not look there has no container there either.
  return sys("faccessat2", AT_FDCWD, cString(`${ociRoot()}/${id}`), 0, 0) === 0;
}

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-v")) {
    const { versionLines } = require("./cli/oci/version.ts") as typeof import("./cli/oci/version.ts");
    print(versionLines());
    return 0;
  }
  if (isOciLevel(process.argv0, argv)) {
    const { ociMain } = require("./cli/oci/main.ts") as typeof import("./cli/oci/main.ts");
    const code = await ociMain(argv[0] === "oci" ? argv.slice(1) : argv);
    // Nothing is buffered at this level: the kernel takes the process away faster than it can tear itself down.
    sys("exit_group", code);
  }
  const { engineMain } = await import("./cli/engine.ts");
  return await engineMain(argv);
}

process.exitCode = await main();
