/** Profiles at random, with conditions that overlap and contradict each other, for property tests. */
import fc from "fast-check";
import { compile } from "../../../drivers/seccomp/compile.ts";
import type { Host, SeccompSource } from "../../../src/driver.ts";
import { CtrError } from "../../../src/error.ts";
import {
  type LinuxSeccomp,
  type LinuxSyscall,
  SECCOMP_OPERATORS,
  type SeccompAction,
} from "../../../src/spec/runtime/seccomp.ts";

export const kernel = [6, 1] as const;

/** Calls with conditions; those of i386 that hide others among them. */
export const CALLS = ["read", "kill", "clone", "socket", "bind", "semop", "set_tls", "waitpid", "openat2"];

const value = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    5,
    0x7e02_0000,
    0xffff_ffffn,
    0x1_0000_0000,
    0x1_0000_0005n,
    0xffff_ffff_ffff_ffffn,
  ),
  fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
);
const arg = fc.record({
  index: fc.integer({ min: 0, max: 2 }),
  op: fc.constantFrom(...SECCOMP_OPERATORS),
  value,
  valueTwo: fc.option(value, { nil: undefined }),
});
const action = fc.constantFrom<SeccompAction>(
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_LOG",
);
const rule: fc.Arbitrary<LinuxSyscall> = fc.record({
  names: fc.subarray(CALLS, { minLength: 1 }),
  action,
  args: fc.option(fc.array(arg, { maxLength: 3 }), { nil: undefined }),
});

/** Of a host; those that contradict themselves are left out. */
export function profiles(arch: Host["arch"]): fc.Arbitrary<LinuxSeccomp> {
  return fc
    .record({
      defaultAction: fc.constantFrom<SeccompAction>("SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_KILL"),
      architectures: fc.subarray(
        arch === "x86_64"
          ? ["SCMP_ARCH_X86_64" as const, "SCMP_ARCH_X86" as const, "SCMP_ARCH_X32" as const]
          : ["SCMP_ARCH_AARCH64" as const, "SCMP_ARCH_ARM" as const],
      ),
      syscalls: fc.array(rule, { maxLength: 6 }),
    })
    .filter((profile) => {
      try {
        compile(profile, arch, kernel);
        return true;
      } catch (error) {
        if (error instanceof CtrError && error.code === "SECCOMP") return false;
        throw error;
      }
    });
}

/** A profile as it is read from a document of the same form. */
export function sourceOf(profile: LinuxSeccomp): SeccompSource {
  return { profile, places: (profile.syscalls ?? []).map((_, index) => `syscalls[${index}]`), left: [] };
}
