/**
 * What a profile means, said as plainly as can be and without BPF: the yardstick for compiled filters, ours and
 * libseccomp's.
 */
import type { Abi } from "../../../drivers/seccomp/abi.ts";
import { answerOf, BAD_ARCH, NO_SUCH_CALL } from "../../../drivers/seccomp/answer.ts";
import { multiplexed } from "../../../drivers/seccomp/multiplexed.ts";
import { AUDIT_ARCH_X86_64 } from "../../../src/kernel/seccomp.ts";
import { type SyscallTable, syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type {
  LinuxSeccomp,
  LinuxSyscallArg,
  SeccompArchitecture,
} from "../../../src/spec/runtime/seccomp.ts";
import { around } from "./arguments.ts";
import { alternatives } from "./libseccomp.ts";

const ARM_PRIVATE = 0xf_0000;
const X32 = 0x4000_0000;

/** Whether a condition holds; `bits` 32: the upper words do not count. */
export function holds(arg: LinuxSyscallArg, args: readonly bigint[], bits: number): boolean {
  const cut = (value: bigint): bigint => BigInt.asUintN(bits, value);
  const given = cut(args[arg.index] ?? 0n);
  const value = cut(BigInt(arg.value));
  switch (arg.op) {
    case "SCMP_CMP_NE":
      return given !== value;
    case "SCMP_CMP_LT":
      return given < value;
    case "SCMP_CMP_LE":
      return given <= value;
    case "SCMP_CMP_EQ":
      return given === value;
    case "SCMP_CMP_GE":
      return given >= value;
    case "SCMP_CMP_GT":
      return given > value;
    case "SCMP_CMP_MASKED_EQ":
      return (given & value) === (cut(BigInt(arg.valueTwo ?? 0)) & value);
  }
}

/** What the rules of a profile say of one call. */
export interface Reading {
  /** Answers of rules without conditions, in the profile's order: the first one counts. */
  readonly always: readonly number[];
  /** Answers of rules whose conditions all hold. */
  readonly sometimes: readonly number[];
  /** Which of the profile's rules these are: the same text for the same ones. */
  readonly rules: string;
  /** Where no rule says anything: the default's, or ENOSYS for a call newer than the profile. */
  readonly otherwise: number;
}

/** Reads a profile for one call. A rule that repeats the default says nothing, in libseccomp and here. */
export function reading(profile: LinuxSeccomp, abi: Abi, number: number, args: readonly bigint[]): Reading {
  const numbers = syscallNumbers(abi.table);
  const byDefault = answerOf(profile.defaultAction, profile.defaultErrnoRet, "");
  const always: number[] = [];
  const hidden: number[] = [];
  const sometimes: number[] = [];
  const rules: string[] = [];
  for (const [at, { names, action, errnoRet, args: all = [] }] of (profile.syscalls ?? []).entries()) {
    const answer = answerOf(action, errnoRet, "");
    if (answer === byDefault) continue;
    for (const name of names) {
      const outer = abi.table === "i386" ? multiplexed(name) : undefined;
      const isOwn = numbers.get(name) === number;
      const isHidden =
        outer !== undefined &&
        numbers.get(outer.call) === number &&
        BigInt.asUintN(32, args[0] ?? 0n) === BigInt(outer.first);
      if (!isOwn && !isHidden) continue;
      for (const [which, conditions] of alternatives(all).entries()) {
        const asked = conditions.filter(
          ({ op, value }) => op !== "SCMP_CMP_MASKED_EQ" || BigInt.asUintN(abi.bits, BigInt(value)) !== 0n,
        );
        // Behind socketcall and ipc the first argument cannot be asked.
        const left = isHidden ? asked.filter(({ index }) => index !== 0) : asked;
        if (!left.every((arg) => holds(arg, args, abi.bits))) continue;
        (asked.length > 0 ? sometimes : isHidden ? hidden : always).push(answer);
        rules.push(`${at}.${which}`);
      }
    }
  }
  const otherwise = newerThan(profile, abi)(number) ? NO_SUCH_CALL : byDefault;
  return { always: always.length > 0 ? always : hidden, sometimes, rules: rules.join(), otherwise };
}

/**
 * runc's rule for calls that a profile cannot know: above the largest number that it names, if it refuses. Gives the
 * question for one architecture.
 */
export function newerThan(profile: LinuxSeccomp, abi: Abi): (number: number) => boolean {
  const { defaultAction, architectures = [], syscalls = [] } = profile;
  if (["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_NOTIFY"].includes(defaultAction))
    return () => false;
  const largest = (name: SeccompArchitecture, table: SyscallTable): number => {
    if (!architectures.includes(name)) return 0;
    const known = syscallNumbers(table);
    const named = syscalls.flatMap(({ names }) => names).map((each) => known.get(each) ?? 0);
    return Math.max(0, ...named.filter((number) => table !== "arm" || number < ARM_PRIVATE));
  };
  const own = largest(abi.name, abi.table);
  // x32's numbers are x86-64's with a bit; so is what a tracer writes to leave a call out.
  const ofX32 = abi.audit === AUDIT_ARCH_X86_64 ? largest("SCMP_ARCH_X32", "x32") : 0;
  return (number) => {
    if (abi.table === "arm" && number >= ARM_PRIVATE) return false;
    const limit = abi.audit === AUDIT_ARCH_X86_64 && number >= X32 ? ofX32 : own;
    return limit > 0 && number > limit;
  };
}

/** What a call should get; `abi` undefined: an architecture that the profile does not cover. */
export function expected(
  profile: LinuxSeccomp,
  abi: Abi | undefined,
  number: number,
  args: readonly bigint[],
): number {
  if (abi === undefined) return BAD_ARCH;
  if (newerThan(profile, abi)(number)) return NO_SUCH_CALL;
  const { always, sometimes, otherwise } = reading(profile, abi, number, args);
  return always[0] ?? sometimes[0] ?? otherwise;
}

/** Arguments worth trying against a profile: around each of its values, in the lower and the upper word. */
export function boundaries(profile: LinuxSeccomp): bigint[] {
  const values = (profile.syscalls ?? [])
    .flatMap(({ args = [] }) => args)
    .flatMap(({ value, valueTwo = 0 }) => [BigInt(value), BigInt(valueTwo)]);
  const most = 0xffff_ffff_ffff_ffffn;
  return [...new Set([0n, 1n, 2n, 17n, most, most >> 32n, ...values.flatMap(around)])];
}
