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
  /** What profiles call it. */
  readonly name: SeccompArchitecture;
  readonly table: SyscallTable;
  /** What seccomp_data.arch says. */
  readonly audit: number;
  /**
   * Width of the argument registers that comparisons look at. On the 32-bit ones (x32 among them, as in
   * libseccomp) only the lower words of argument, value and mask count.
   */
  readonly bits: 32 | 64;
}

/** A host's architectures, its own first. */
const hosts: Readonly<Record<Host["arch"], readonly Abi[]>> = {
  x86_64: [
    { name: "SCMP_ARCH_X86_64", table: "x86_64", audit: AUDIT_ARCH_X86_64, bits: 64 },
    { name: "SCMP_ARCH_X32", table: "x32", audit: AUDIT_ARCH_X86_64, bits: 32 },
    { name: "SCMP_ARCH_X86", table: "i386", audit: AUDIT_ARCH_I386, bits: 32 },
  ],
  aarch64: [
    { name: "SCMP_ARCH_AARCH64", table: "aarch64", audit: AUDIT_ARCH_AARCH64, bits: 64 },
    { name: "SCMP_ARCH_ARM", table: "arm", audit: AUDIT_ARCH_ARM, bits: 32 },
  ],
};

/** Every way of making system calls that a host may have, its own first, by the names in profiles. */
export function abisOf(arch: Host["arch"]): readonly (readonly [SeccompArchitecture, Abi])[] {
  return hosts[arch].map((abi) => [abi.name, abi]);
}

/** The table of system calls that each architecture of a profile has. */
export const architectureTables: Readonly<Record<SeccompArchitecture, SyscallTable>> = {
  SCMP_ARCH_X86: "i386",
  SCMP_ARCH_X86_64: "x86_64",
  SCMP_ARCH_X32: "x32",
  SCMP_ARCH_ARM: "arm",
  SCMP_ARCH_AARCH64: "aarch64",
  SCMP_ARCH_LOONGARCH64: "loongarch64",
  SCMP_ARCH_M68K: "m68k",
  SCMP_ARCH_MIPS: "mips",
  SCMP_ARCH_MIPS64: "mips64",
  SCMP_ARCH_MIPS64N32: "mips64n32",
  SCMP_ARCH_MIPSEL: "mips",
  SCMP_ARCH_MIPSEL64: "mips64",
  SCMP_ARCH_MIPSEL64N32: "mips64n32",
  SCMP_ARCH_PPC: "ppc",
  SCMP_ARCH_PPC64: "ppc64",
  SCMP_ARCH_PPC64LE: "ppc64",
  SCMP_ARCH_S390: "s390",
  SCMP_ARCH_S390X: "s390x",
  SCMP_ARCH_SH: "sh",
  SCMP_ARCH_SHEB: "sh",
  SCMP_ARCH_PARISC: "parisc",
  SCMP_ARCH_PARISC64: "parisc64",
  SCMP_ARCH_RISCV64: "riscv64",
};

/** The host's own architecture. */
export function nativeAbi(arch: Host["arch"]): Abi {
  const [abi] = hosts[arch];
  if (abi === undefined) throw new RangeError(arch);
  return abi;
}

/**
 * The architectures that the filter lets in: the host's own always, as in libseccomp's filters, and those of
 * `listed` that the host can run. A call of any other one is answered with BAD_ARCH (answer.ts).
 */
export function coveredAbis(arch: Host["arch"], listed: readonly SeccompArchitecture[]): Abi[] {
  return hosts[arch].filter(({ name }, index) => index === 0 || listed.includes(name));
}
