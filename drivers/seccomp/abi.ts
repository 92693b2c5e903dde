/**
 * The architectures that a filter tells apart, and which of them a profile covers on a host.
 * Not here: system call numbers (kernel/syscall-tables).
 */
import type { Host } from "../../src/driver.ts";
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
} from "../../src/kernel/seccomp.ts";
import type { SyscallTable } from "../../src/kernel/syscall-tables/tables.ts";
import type { SeccompArchitecture } from "../../src/spec/runtime/seccomp.ts";

/** One way of making system calls on a host. */
export interface Abi {
  readonly table: SyscallTable;
  /** What seccomp_data.arch says. */
  readonly audit: number;
  /**
   * Width of the argument registers that comparisons look at. On the 32-bit ones (x32 among them, as in
   * libseccomp) only the lower words of argument, value and mask count.
   */
  readonly bits: 32 | 64;
}

const x86_64: Abi = { table: "x86_64", audit: AUDIT_ARCH_X86_64, bits: 64 };
const x32: Abi = { table: "x32", audit: AUDIT_ARCH_X86_64, bits: 32 };
const i386: Abi = { table: "i386", audit: AUDIT_ARCH_I386, bits: 32 };
const aarch64: Abi = { table: "aarch64", audit: AUDIT_ARCH_AARCH64, bits: 64 };
const arm: Abi = { table: "arm", audit: AUDIT_ARCH_ARM, bits: 32 };

/** A host's architectures by the names in profiles, its own first. */
const hosts: Readonly<Record<Host["arch"], readonly (readonly [SeccompArchitecture, Abi])[]>> = {
  x86_64: [
    ["SCMP_ARCH_X86_64", x86_64],
    ["SCMP_ARCH_X32", x32],
    ["SCMP_ARCH_X86", i386],
  ],
  aarch64: [
    ["SCMP_ARCH_AARCH64", aarch64],
    ["SCMP_ARCH_ARM", arm],
  ],
};

/** Every way of making system calls that a host may have, its own first, by the names in profiles. */
export function abisOf(arch: Host["arch"]): readonly (readonly [SeccompArchitecture, Abi])[] {
  return hosts[arch];
}

/** The host's own architecture. */
export function nativeAbi(arch: Host["arch"]): Abi {
  return arch === "x86_64" ? x86_64 : aarch64;
}

/**
 * The architectures that the filter lets in: the host's own always, as in libseccomp's filters, and those of
 * `listed` that the host can run. A call of any other one is answered with BAD_ARCH (answer.ts).
 */
export function coveredAbis(arch: Host["arch"], listed: readonly SeccompArchitecture[]): Abi[] {
  return hosts[arch].filter(([name], index) => index === 0 || listed.includes(name)).map(([, abi]) => abi);
}
