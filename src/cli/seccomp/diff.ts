/** `ctr-bun seccomp diff`: what two profiles answer differently. */
import type { SeccompDifference } from "../../driver.ts";
import { inProfile, type NamedProfile, readProfile, seccompTools } from "../../engine/seccomp-source.ts";
import { print } from "../../kernel/output.ts";
import { writeJson } from "../../spec/json.ts";
import { verb } from "../command.ts";
import { text } from "../flag.ts";
import { callText } from "./explanation-text.ts";
import { oneOf, PROFILE_ARGS, PROFILE_NOTES, profileFor } from "./profile-args.ts";

const NAME = "seccomp diff";

export default verb({
  name: NAME,
  description: "Show every system call that two profiles answer differently",
  usage: "[OPTIONS] PROFILE PROFILE",
  args: {
    arch: text("For another host: x86_64 or aarch64", "ARCH"),
    format: text("text (the default) or json", "FORMAT"),
    ...PROFILE_ARGS,
    profile: { type: "positional", description: "One profile" },
    other: { type: "positional", description: "The other" },
  },
  errorCode: 2,
  notes: [
    PROFILE_NOTES,
    "Compared is what the profiles mean: every call of every architecture of the host, every number without a name,",
    "every combination of conditions. Exit codes: 0 no difference, 1 some, 2 an error, 125 a wrong command line.",
  ].join("\n"),
  async run({ profile, other, arch, format, ...flags }, context) {
    const wanted = oneOf(format, ["text", "json"], "--format", NAME) ?? "text";
    const engine = await context.engine();
    const { driver, workbench } = seccompTools(engine);
    const of = profileFor(flags, arch, workbench, engine, NAME);
    const both = [readProfile(engine, profile, of), readProfile(engine, other, of)] as const;
    for (const each of both) {
      try {
        driver.compile(each.profile, of.arch, of.kernel);
      } catch (error) {
        throw inProfile(error, each);
      }
    }
    const found = workbench.diff(...both, of.arch);
    if (wanted === "json") print(`${writeJson(found, 2)}\n`);
    else if (found.length > 0) print(differencesText(found, both));
    return found.length === 0 ? 0 : 1;
  },
});

/** Names of calls in a line of text. */
const WIDTH = 100;

function differencesText(
  found: readonly SeccompDifference[],
  both: readonly [NamedProfile, NamedProfile],
): string {
  const parts = [`- ${both[0].name}\n+ ${both[1].name}\n`];
  // Calls that differ in the same way, whatever their arguments, stand together.
  const alike = Map.groupBy(found, ({ architecture, syscall, when, verdicts, rules }, index) =>
    JSON.stringify(when === undefined && syscall !== "*" ? [architecture, verdicts, rules] : index),
  );
  for (const group of alike.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const sides = (["-", "+"] as const).map((sign, index) => {
      const rule = first.rules[index];
      const where = rule === undefined ? "" : `  # ${both[index]?.at(rule) ?? ""}`;
      return `${sign} ${first.verdicts[index] ?? ""}${where}\n`;
    });
    parts.push(`${headOf(first, group)}${sides.join("")}`);
  }
  return parts.join("\n");
}

function headOf(
  { architecture, syscall, when, args }: SeccompDifference,
  group: readonly SeccompDifference[],
): string {
  if (syscall === "*") return `${architecture}: every call\n`;
  if (when === undefined)
    return wrapped(
      `${architecture}:`,
      group.map((each) => each.syscall),
    );
  const example = args === undefined ? "" : `, as in ${callText(syscall, args)}`;
  return `${architecture}: ${syscall}, ${when}${example}\n`;
}

function wrapped(start: string, words: readonly string[]): string {
  const lines = [start];
  for (const word of words) {
    const line = lines.at(-1) ?? "";
    if (line.length + word.length < WIDTH) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(`  ${word}`);
  }
  return `${lines.join("\n")}\n`;
}
