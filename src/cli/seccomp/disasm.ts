/** `ctr-bun seccomp disasm`: a filter, or what a profile is compiled to, as text. */
import { inProfile, readProfileOrFilter, seccompTools } from "../../engine/seccomp-source.ts";
import { print } from "../../kernel/output.ts";
import { verb } from "../command.ts";
import { text } from "../flag.ts";
import { PROFILE_ARGS, PROFILE_NOTES, profileFor } from "./profile-args.ts";

const NAME = "seccomp disasm";

export default verb({
  name: NAME,
  description: "Show a filter, or a profile's, one line an instruction",
  usage: "[OPTIONS] FILE|PROFILE",
  args: {
    arch: text("For another host: x86_64 or aarch64", "ARCH"),
    ...PROFILE_ARGS,
    file: {
      type: "positional",
      description: "A raw filter (struct sock_filter[]) of anybody's, or a profile",
    },
  },
  notes: `${PROFILE_NOTES}\nA jump names the line it goes to, the first one where the comparison holds.`,
  async run({ file, arch, ...flags }, context) {
    const engine = await context.engine();
    const { driver, workbench } = seccompTools(engine);
    const of = profileFor(flags, arch, workbench, engine, NAME);
    const read = readProfileOrFilter(engine, file, of);
    if ("filter" in read) {
      print(workbench.disassemble(read.filter));
      return 0;
    }
    try {
      print(workbench.disassemble(driver.compile(read.profile.profile, of.arch, of.kernel).filter));
      return 0;
    } catch (error) {
      throw inProfile(error, read.profile);
    }
  },
});
