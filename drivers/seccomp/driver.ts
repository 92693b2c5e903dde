/**
 * The seccomp driver: profiles to classic BPF, without libseccomp.
 * What lives here: the contract of src/driver.ts, nothing more. Not here: the work (compile.ts, interpret.ts,
 * default-profile.ts).
 */
import type { SeccompDriver } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import { nativeAbi } from "./abi.ts";
import { interpret } from "./interpret.ts";

/** What scripts/build.ts says of compile.ts and all that it loads; the sources as they are have nothing of the kind. */
declare const CTR_BUN_SECCOMP: string | undefined;

export const seccompDriver: SeccompDriver = {
  kind: "seccomp",
  name: "bpf",
  // Filters are part of every kernel that ctr-bun supports; one built without them says so when asked.
  probe: () => ({ ok: true }),
  version: typeof CTR_BUN_SECCOMP === "undefined" ? undefined : CTR_BUN_SECCOMP,
  // The usual start has its filter from the cache, and its profile from a bundle: both are loaded when they are needed.
  compile(profile, arch, kernel) {
    return (require("./compile.ts") as typeof import("./compile.ts")).compile(profile, arch, kernel);
  },
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
  defaultProfile(capabilities, arch) {
    const { defaultProfile } = require("./default-profile.ts") as typeof import("./default-profile.ts");
    return defaultProfile(capabilities, arch);
  },
  workbench() {
    return (require("./workbench.ts") as typeof import("./workbench.ts")).workbench;
  },
};
