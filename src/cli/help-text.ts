/**
 * Help, laid out by citty from the definitions of flags, with the line of usage that Docker's users know.
 */

import { type ArgsDef, type CommandDef, renderUsage } from "citty";
import { fail } from "../error.ts";
import { print } from "../kernel/output.ts";
import { isTerminal } from "../kernel/terminal.ts";
import type { Defs } from "./argv.ts";
import type { Verb } from "./command.ts";

/** What there is to be helped with. */
export interface Topics {
  readonly root: CommandDef;
  readonly globals: Defs;
  load(name: string): Promise<Verb | undefined>;
}

/** Prints help on a verb, or on all. @returns the exit code. */
export async function printHelp(topic: string | undefined, topics: Topics): Promise<number> {
  const text = await helpText(topic, topics);
  print(isTerminal(1) ? text : Bun.stripANSI(text));
  return 0;
}

async function helpText(name: string | undefined, topics: Topics): Promise<string> {
  if (name === undefined) return await overview(topics);
  const verb = await topics.load(name);
  if (verb === undefined) {
    throw fail({
      code: "USAGE",
      message: `there is no command ${JSON.stringify(name)}`,
      hint: "see 'ctr-bun --help'",
      exitCode: 125,
    });
  }
  return await verbHelp(name, verb, topics.root);
}

async function verbHelp(name: string, verb: Verb, root: CommandDef): Promise<string> {
  const laidOut = await renderUsage(verb.command, root);
  const notes = verb.notes === undefined ? "" : `\n${verb.notes}\n`;
  return `${withUsageLine(laidOut, `ctr-bun ${name} ${verb.usage}`)}${notes}`;
}

async function overview({ root, globals }: Topics): Promise<string> {
  const flags = Object.entries(globals).filter(([, { type }]) => type !== "positional");
  const laidOut = await renderUsage({ ...root, args: Object.fromEntries(flags) as ArgsDef });
  const notes = [
    "The default network is none: a container has a loopback device and nothing else. --network host shares the",
    "host's. At the OCI level ('ctr-bun oci --help', or --bundle) the command line is runc's.",
  ];
  return `${withUsageLine(laidOut, "ctr-bun [GLOBAL OPTIONS] COMMAND ...")}\n${notes.join("\n")}\n`;
}

/** citty's line of usage lists positionals one by one and names all sub-commands: ours is shorter. */
function withUsageLine(text: string, usage: string): string {
  const lines = text
    .split("\n")
    .map((line) => (Bun.stripANSI(line).startsWith("USAGE ") ? `USAGE ${usage}` : line));
  return `${lines.join("\n").trimEnd()}\n`;
}
