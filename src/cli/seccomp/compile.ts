/** `ctr-bun seccomp compile`: a profile in, the filter that the kernel gets out. */
import { absolutePath } from "../../engine/path.ts";
import { inProfile, readProfile, seccompTools } from "../../engine/seccomp-source.ts";
import { replaceFile, writeAll } from "../../kernel/file.ts";
import { isTerminal } from "../../kernel/terminal.ts";
import { writeJson } from "../../spec/json.ts";
import { usage } from "../argv.ts";
import { verb } from "../command.ts";
import { text } from "../flag.ts";
import { oneOf, PROFILE_ARGS, PROFILE_NOTES, profileFor } from "./profile-args.ts";

const NAME = "seccomp compile";

export default verb({
  name: NAME,
  description: "Compile a profile to a seccomp filter",
  usage: "[OPTIONS] PROFILE",
  args: {
    output: text("Write to a file", "FILE", "o"),
    format: text("raw (struct sock_filter[], the default), asm or json", "FORMAT"),
    arch: text("For another host: x86_64 or aarch64", "ARCH"),
    ...PROFILE_ARGS,
    profile: { type: "positional", description: "What to compile" },
  },
  notes: `${PROFILE_NOTES}\nRaw is what seccomp(2), bwrap --seccomp and others take, in little endian.`,
  async run({ profile: name, output, format, arch, ...flags }, context) {
    const wanted = oneOf(format, ["raw", "asm", "json"], "--format", NAME) ?? "raw";
    if (wanted === "raw" && output === undefined && isTerminal(1)) {
      throw usage("a raw filter is not for terminals", NAME, "write it to a file (-o FILE), or --format asm");
    }
    const engine = await context.engine();
    const { driver, workbench } = seccompTools(engine);
    const of = profileFor(flags, arch, workbench, engine, NAME);
    const profile = readProfile(engine, name, of);
    const bytes = ((): Uint8Array => {
      try {
        const program = driver.compile(profile.profile, of.arch, of.kernel);
        if (wanted === "raw") return program.filter;
        if (wanted === "asm") return new TextEncoder().encode(workbench.disassemble(program.filter));
        const { flags: kernelFlags, notify, unknown, filter } = program;
        const instructions = workbench.instructions(filter);
        return new TextEncoder().encode(
          `${writeJson({ arch: of.arch, flags: kernelFlags, notify, unknown, instructions }, 2)}\n`,
        );
      } catch (error) {
        throw inProfile(error, profile);
      }
    })();
    if (output === undefined || output === "-") writeAll(1, bytes, "standard output");
    else replaceFile(absolutePath(output, engine.cwd), bytes, 0o644);
    return 0;
  },
});
