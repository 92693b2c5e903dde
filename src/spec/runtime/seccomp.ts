/**
 * `linux.seccomp` of config.json (config-linux.md, "Seccomp"), and the state sent to a seccomp agent.
 * Not here: translation to BPF (drivers/seccomp), or which system calls exist.
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText, rule } from "../builders.ts";
import { FilledText, integer, oneOf, PlainText, Text, Uint64 } from "../scalars.ts";

export const SECCOMP_ACTIONS = [
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
] as const;

export const SECCOMP_ARCHITECTURES = [
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_ARM",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_LOONGARCH64",
  "SCMP_ARCH_M68K",
  "SCMP_ARCH_MIPS",
  "SCMP_ARCH_MIPS64",
  "SCMP_ARCH_MIPS64N32",
  "SCMP_ARCH_MIPSEL",
  "SCMP_ARCH_MIPSEL64",
  "SCMP_ARCH_MIPSEL64N32",
  "SCMP_ARCH_PPC",
  "SCMP_ARCH_PPC64",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_S390",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_SH",
  "SCMP_ARCH_SHEB",
  "SCMP_ARCH_PARISC",
  "SCMP_ARCH_PARISC64",
  "SCMP_ARCH_RISCV64",
] as const;

export const SECCOMP_FLAGS = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
] as const;

export const SECCOMP_OPERATORS = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const;

export type SeccompAction = (typeof SECCOMP_ACTIONS)[number];
export type SeccompArchitecture = (typeof SECCOMP_ARCHITECTURES)[number];
export type SeccompFlag = (typeof SECCOMP_FLAGS)[number];
export type SeccompOperator = (typeof SECCOMP_OPERATORS)[number];

/** SECCOMP_RET_DATA has 16 bits (seccomp(2)); what does not fit would come out as another errno. */
const ErrnoReturn = integer(0, 65535);

/** A comparison with one of a system call's six arguments; `valueTwo` is for SCMP_CMP_MASKED_EQ. */
export const LinuxSyscallArg = lazy(() =>
  object({
    index: integer(0, 5),
    value: Uint64,
    valueTwo: optional(Uint64),
    op: oneOf(...SECCOMP_OPERATORS),
  }),
);
export type LinuxSyscallArg = v.InferOutput<typeof LinuxSyscallArg>;

/** What happens to the system calls of these names, when all of `args` hold. */
export const LinuxSyscall = lazy(() =>
  object({
    names: v.pipe(v.array(FilledText), v.minLength(1, "must have at least one entry")),
    action: oneOf(...SECCOMP_ACTIONS),
    errnoRet: optional(ErrnoReturn),
    args: optional(v.array(LinuxSyscallArg)),
  }),
);
export type LinuxSyscall = v.InferOutput<typeof LinuxSyscall>;

export const LinuxSeccomp = lazy(() =>
  v.pipe(
    object({
      defaultAction: oneOf(...SECCOMP_ACTIONS),
      defaultErrnoRet: optional(ErrnoReturn),
      architectures: optional(v.array(oneOf(...SECCOMP_ARCHITECTURES))),
      flags: optional(v.array(oneOf(...SECCOMP_FLAGS))),
      listenerPath: optionalText(Text),
      listenerMetadata: optionalText(PlainText),
      syscalls: optional(v.array(LinuxSyscall)),
    }),
    rule(({ listenerPath, listenerMetadata }, complain) => {
      if (listenerMetadata !== undefined && listenerPath === undefined) {
        complain("must not be set without listenerPath", "listenerMetadata");
      }
    }),
  ),
);
export type LinuxSeccomp = v.InferOutput<typeof LinuxSeccomp>;
