/** `ctr-bun seccomp explain`: which rule decides on a system call, why, and the way through the filter. */
import type { SeccompExplanation } from "../../driver.ts";
import { inProfile, readProfile, seccompTools } from "../../engine/seccomp-source.ts";
import { print } from "../../kernel/output.ts";
import { writeJson } from "../../spec/json.ts";
import { usage } from "../argv.ts";
import { verb } from "../command.ts";
import { text } from "../flag.ts";
import { explanationText } from "./explanation-text.ts";
import { oneOf, PROFILE_ARGS, PROFILE_NOTES, profileFor } from "./profile-args.ts";

const NAME = "seccomp explain";

export default verb({
  name: NAME,
  description: "Say what a system call gets under a profile, and why",
  usage: "[OPTIONS] PROFILE SYSCALL [ARG...]",
  args: {
    arch: text("How the call is made: x86_64, x86, x32, aarch64 or arm; the host's own", "ARCH"),
    format: text("text (the default) or json", "FORMAT"),
    ...PROFILE_ARGS,
    profile: { type: "positional", description: "The profile" },
    syscall: { type: "positional", description: "Name or number of the call" },
    arguments: {
      type: "positional",
      rest: true,
      required: false,
      description: "Its arguments: 5, -1, 0x7e020000; those left out are 0. With none at all: every outcome",
    },
  },
  numbersArePositional: true,
  notes: PROFILE_NOTES,
  async run({ profile: name, syscall, arguments: words, arch, format, ...flags }, context) {
    const wanted = oneOf(format, ["text", "json"], "--format", NAME) ?? "text";
    const args = words.length === 0 ? undefined : argumentsOf(words);
    const engine = await context.engine();
    const { driver, workbench } = seccompTools(engine);
    const of = profileFor(flags, arch, workbench, engine, NAME);
    const profile = readProfile(engine, name, of);
    let explanation: SeccompExplanation;
    try {
      explanation = workbench.explain(profile, of.kernel, arch ?? of.arch, syscall, args);
    } catch (error) {
      throw inProfile(error, profile);
    }
    if (wanted === "json") print(`${writeJson(explanation, 2)}\n`);
    else {
      const { filter } = driver.compile(profile.profile, of.arch, of.kernel);
      print(explanationText(explanation, profile, workbench.disassemble(filter).trimEnd().split("\n")));
    }
    return 0;
  },
});

/** 64 bits each; a negative one as the kernel gets it. */
function argumentsOf(words: readonly string[]): bigint[] {
  if (words.length > 6) throw usage(`${words.length} arguments: a system call has at most 6`, NAME);
  return words.map((word) => {
    const value = /^-?(?:\d+|0x[0-9a-f]+)$/i.test(word) ? numberOf(word) : undefined;
    if (value === undefined || value < -(1n << 63n) || value >= 1n << 64n) {
      throw usage(
        `${JSON.stringify(word)} is no argument: it is a number of 64 bits, as 5, -1 or 0x20`,
        NAME,
      );
    }
    return BigInt.asUintN(64, value);
  });
}

const numberOf = (word: string): bigint => (word.startsWith("-") ? -BigInt(word.slice(1)) : BigInt(word));
