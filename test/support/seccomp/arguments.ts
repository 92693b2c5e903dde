/**
 * Arguments worth trying on the calls that a profile looks into: those for which a rule just holds, those that miss it
 * by one condition, at the borders of values and words, and those for which two rules hold.
 */
import type { Abi } from "../../../drivers/seccomp/abi.ts";
import { multiplexed } from "../../../drivers/seccomp/multiplexed.ts";
import { syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscallArg } from "../../../src/spec/runtime/seccomp.ts";
import { alternatives } from "./libseccomp.ts";

type Arguments = readonly bigint[];

const MOST = 0xffff_ffff_ffff_ffffn;
/** Pairs of rules that are tried on one call, at most. */
const PAIRS = 200;

/** A value and what is next to it, in the lower and the upper word. */
export function around(value: bigint): bigint[] {
  return [-1n, 0n, 1n, 1n << 32n, -(1n << 32n)].map((step) => BigInt.asUintN(64, value + step));
}

/** A value for which a condition holds, if there is one. */
function fitting({ op, value, valueTwo = 0 }: LinuxSyscallArg): bigint {
  const is = BigInt(value);
  switch (op) {
    case "SCMP_CMP_NE":
    case "SCMP_CMP_GT":
      return BigInt.asUintN(64, is + 1n);
    case "SCMP_CMP_LT":
      return BigInt.asUintN(64, is - 1n);
    case "SCMP_CMP_MASKED_EQ":
      return (BigInt(valueTwo) & is) | (0x5a5a_a5a5_0f0f_f0f0n & ~is & MOST);
    default:
      return is;
  }
}

/** Values of the argument that a condition looks at. */
function borders({ value, valueTwo = 0 }: LinuxSyscallArg): bigint[] {
  return [0n, MOST, ...around(BigInt(value)), ...(BigInt(valueTwo) === 0n ? [] : around(BigInt(valueTwo)))];
}

function satisfying(conditions: readonly LinuxSyscallArg[], base: Arguments): bigint[] {
  const args = [...base];
  for (const condition of conditions) args[condition.index] = fitting(condition);
  return args;
}

const zeros: Arguments = Array(6).fill(0n);

/** By number of the call: lists of six arguments. */
export function argumentsFor(profile: LinuxSeccomp, abi: Abi): ReadonlyMap<number, readonly Arguments[]> {
  const numbers = syscallNumbers(abi.table);
  const rules = new Map<number, (readonly LinuxSyscallArg[])[]>();
  const add = (number: number | undefined, conditions: readonly LinuxSyscallArg[]): void => {
    if (number !== undefined) rules.set(number, [...(rules.get(number) ?? []), conditions]);
  };
  for (const { names, args = [] } of profile.syscalls ?? []) {
    for (const name of names) {
      const outer = abi.table === "i386" ? multiplexed(name) : undefined;
      const which: LinuxSyscallArg = { index: 0, op: "SCMP_CMP_EQ", value: outer?.first ?? 0 };
      for (const conditions of alternatives(args)) {
        if (conditions.length > 0) add(numbers.get(name), conditions);
        if (outer !== undefined)
          add(numbers.get(outer.call), [...conditions.filter(({ index }) => index !== 0), which]);
      }
    }
  }
  return new Map([...rules].map(([number, all]) => [number, combinations(all)]));
}

function combinations(rules: readonly (readonly LinuxSyscallArg[])[]): Arguments[] {
  const tried = new Map<string, Arguments>();
  const put = (args: Arguments): void => void tried.set(args.join(), args);
  put(zeros);
  put(Array(6).fill(MOST));
  for (const conditions of rules) {
    const fits = satisfying(conditions, zeros);
    put(fits);
    for (const condition of conditions) {
      for (const border of borders(condition)) put(fits.with(condition.index, border));
    }
  }
  let pairs = 0;
  for (const one of rules) {
    for (const other of rules) {
      if (pairs++ < PAIRS) put(satisfying(one, satisfying(other, zeros)));
    }
  }
  return [...tried.values()];
}
