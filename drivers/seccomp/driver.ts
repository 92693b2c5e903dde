/**
 * The seccomp driver: profiles to classic BPF, without libseccomp.
 * What lives here: the contract of src/driver.ts, nothing more. Not here: the work (compile.ts, interpret.ts,
 * default-profile.ts).
 */
import type { SeccompDriver } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import { nativeAbi } from "./abi.ts";
import { compile } from "./compile.ts";
import { defaultProfile } from "./default-profile.ts";
import { interpret } from "./interpret.ts";

export const seccompDriver: SeccompDriver = {
  kind: "seccomp",
  name: "bpf",
  // Filters are part of every kernel that ctr-bun supports; one built without them says so when asked.
  probe: () => ({ ok: true }),
  compile,
  verdict(program, arch, syscall, args = []) {
    const { table, audit } = nativeAbi(arch);
    const number = syscallNumbers(table).get(syscall);
    if (number === undefined) {
      throw fail({ code: "SECCOMP", message: `${arch} has no system call ${JSON.stringify(syscall)}` });
    }
    return interpret(program.filter, { number, audit, args });
  },
  readProfile(profile, capabilities, arch, kernel) {
    // Its schema takes time to load, and only people's own profiles need it.
    const { fromDockerProfile } = require("./docker-profile.ts") as typeof import("./docker-profile.ts");
    return fromDockerProfile(profile, capabilities, arch, kernel);
  },
  defaultProfile,
  workbench() {
    return (require("./workbench.ts") as typeof import("./workbench.ts")).workbench;
  },
};
