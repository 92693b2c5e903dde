/**
 * What a profile means, said as plainly as can be and without BPF: the yardstick for compiled filters.
 * Not here: profiles whose rules contradict each other under the same args (compile.test.ts tries those by hand).
 */
import type { Abi } from "../../../drivers/seccomp/abi.ts";
import { answerOf, BAD_ARCH, NO_SUCH_CALL } from "../../../drivers/seccomp/answer.ts";
import { multiplexed } from "../../../drivers/seccomp/multiplexed.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscallArg } from "../../../src/spec/runtime/seccomp.ts";

const MOST = 0xffff_ffff_ffff_ffffn;

function holds(arg: LinuxSyscallArg, args: readonly bigint[], bits: number): boolean {
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

/** What a call should get; `abi` undefined: an architecture that the profile does not cover. */
export function expected(
  profile: LinuxSeccomp,
  abi: Abi | undefined,
  number: number,
  args: readonly bigint[],
): number {
  if (abi === undefined) return BAD_ARCH;
  const numbers = syscallNumbers(abi.table);
  const byDefault = answerOf(profile.defaultAction, profile.defaultErrnoRet, "");
  const always: number[] = [];
  const sometimes: number[] = [];
  const hiddenAlways: number[] = [];
  let largest = 0;
  for (const { names, action, errnoRet, args: all = [] } of profile.syscalls ?? []) {
    const answer = answerOf(action, errnoRet, "");
    const repeats = new Set(all.map(({ index }) => index)).size < all.length;
    const alternatives = repeats ? all.map((arg) => [arg]) : [all];
    for (const name of names) {
      const own = numbers.get(name);
      if (own !== undefined && own < 0xf_0000 + (abi.table === "x32" ? 0x4000_0000 : 0)) {
        largest = Math.max(largest, own);
      }
      const outer = abi.table === "i386" ? multiplexed(name) : undefined;
      if (outer !== undefined) largest = Math.max(largest, numbers.get(outer.call) ?? 0);
      const throughOuter =
        outer !== undefined && numbers.get(outer.call) === number && BigInt.asUintN(32, args[0] ?? 0n);
      if (answer === byDefault) continue;
      for (const conditions of alternatives) {
        const isVacuous = conditions.every(
          ({ op, value }) => op === "SCMP_CMP_MASKED_EQ" && BigInt.asUintN(abi.bits, BigInt(value)) === 0n,
        );
        if (own === number) {
          if (isVacuous) always.push(answer);
          else if (conditions.every((arg) => holds(arg, args, abi.bits))) sometimes.push(answer);
        }
        if (outer !== undefined && throughOuter === BigInt(outer.first)) {
          const rest = conditions.filter(({ index }) => index !== 0);
          if (isVacuous) hiddenAlways.push(answer);
          else if (rest.every((arg) => holds(arg, args, abi.bits))) sometimes.push(answer);
        }
      }
    }
  }
  const isClosed = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].includes(profile.defaultAction);
  const isNewer = number > largest && largest > 0 && number !== 0xffff_ffff;
  if (isNewer && !isClosed && !(abi.table === "arm" && number >= 0xf_0000)) return NO_SUCH_CALL;
  return always[0] ?? hiddenAlways[0] ?? sometimes[0] ?? byDefault;
}

/** Arguments worth trying against a profile: around each of its values, in the lower and the upper word. */
export function boundaries(profile: LinuxSeccomp): bigint[] {
  const values = (profile.syscalls ?? [])
    .flatMap(({ args = [] }) => args)
    .flatMap(({ value, valueTwo = 0 }) => [BigInt(value), BigInt(valueTwo)]);
  const around = values.flatMap((value) =>
    [-1n, 0n, 1n, 1n << 32n, -(1n << 32n)].map((step) => BigInt.asUintN(64, value + step)),
  );
  return [...new Set([0n, 1n, 2n, 17n, MOST, MOST >> 32n, ...around])];
}
