/**
 * Comparisons with a system call's arguments: from a profile to tests of 32-bit words, their order, their code.
 * Not here: which action a comparison leads to (rules.ts).
 */
import { SECCOMP_DATA_ARGS } from "../../src/kernel/seccomp.ts";
import type { LinuxSyscallArg, SeccompOperator } from "../../src/spec/runtime/seccomp.ts";
import type { Label, ProgramWriter } from "./program.ts";

/** 64 bits as two words, each 0 to 2^32 - 1. */
interface Words {
  readonly high: number;
  readonly low: number;
}

/** `argument & mask` compared with a value, unsigned. */
export interface Test {
  readonly index: number;
  readonly comparison: "eq" | "gt" | "ge";
  /** The test holds where the comparison does not. */
  readonly negated: boolean;
  /** Only `eq` has one that is not all ones; a word of it that is 0 is not looked at. */
  readonly mask: Words;
  readonly value: Words;
}

const operators: Readonly<Record<SeccompOperator, readonly [Test["comparison"], negated: boolean]>> = {
  SCMP_CMP_NE: ["eq", true],
  SCMP_CMP_LT: ["ge", true],
  SCMP_CMP_LE: ["gt", true],
  SCMP_CMP_EQ: ["eq", false],
  SCMP_CMP_GE: ["ge", false],
  SCMP_CMP_GT: ["gt", false],
  SCMP_CMP_MASKED_EQ: ["eq", false],
};

/**
 * A condition of a profile as a test. SCMP_CMP_MASKED_EQ is `(argument & value) == (valueTwo & value)`.
 * @param bits 32: the upper words do not count, those of value and mask neither
 */
export function testOf(arg: LinuxSyscallArg, bits: 32 | 64): Test {
  const masked = arg.op === "SCMP_CMP_MASKED_EQ";
  const all = bits === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  const mask = masked ? BigInt(arg.value) & all : all;
  const value = BigInt(masked ? (arg.valueTwo ?? 0) : arg.value) & mask;
  const [comparison, negated] = operators[arg.op];
  return { index: arg.index, comparison, negated, mask: words(mask), value: words(value) };
}

function words(value: bigint): Words {
  return { high: Number(value >> 32n), low: Number(value & 0xffff_ffffn) };
}

/** Whether a test holds for a call with these arguments; what is left out is 0. */
export function testHolds(
  { index, comparison, negated, mask, value }: Test,
  args: readonly bigint[],
): boolean {
  const wanted = bigWord(value);
  const given = (args[index] ?? 0n) & bigWord(mask);
  const holds =
    comparison === "eq" ? given === wanted : comparison === "gt" ? given > wanted : given >= wanted;
  return holds !== negated;
}

/** Two words as the one number that they are. */
export const bigWord = ({ high, low }: Words): bigint => (BigInt(high) << 32n) | BigInt(low);

/** Whether a test holds for every argument, so that it says nothing: a mask of 0. */
export function isVacuous({ mask }: Test): boolean {
  return mask.high === 0 && mask.low === 0;
}

/** Whether a test looks at whole words, at the lower one at least. */
export function isWhole({ mask }: Test): boolean {
  return mask.low === 0xffff_ffff && (mask.high === 0 || mask.high === 0xffff_ffff);
}

/** Whether two tests look at the same bits of the same argument. */
export function sameArgument(one: Test, other: Test): boolean {
  return one.index === other.index && compareWords(one.mask, other.mask) === 0;
}

/** Whether a test of whole words holds for an argument. */
export function holdsFor({ comparison, negated, mask, value }: Test, high: number, low: number): boolean {
  const compared = (mask.high === 0 ? 0 : high - value.high) || low - value.low;
  const holds = comparison === "eq" ? compared === 0 : comparison === "gt" ? compared > 0 : compared >= 0;
  return holds !== negated;
}

/** Whether two tests are the same question, in these words or others: `> 4` is `>= 5`. */
export function sameTest(one: Test, other: Test): boolean {
  return (
    sameArgument(one, other) &&
    one.negated === other.negated &&
    rank(one) === rank(other) &&
    compareWords(border(one), border(other)) === 0
  );
}

/**
 * Which of two tests is asked first, negative for `one`; 0 where what follows them decides. libseccomp's order: later
 * arguments first; then equality, less than, greater than; then the narrower one: the smaller value for less than,
 * else the larger. Of values that are no equalities it looks at the upper words.
 */
export function compareTests(one: Test, other: Test): number {
  return (
    other.index - one.index ||
    rank(other) - rank(one) ||
    compareValues(one, leading(one), leading(other)) ||
    compareWords(other.mask, one.mask) ||
    Number(one.negated) - Number(other.negated)
  );
}

/** As {@link compareTests}, between those that it puts in one place. */
export function compareClosely(one: Test, other: Test): number {
  return compareValues(one, one.value, other.value) || compareValues(one, border(one), border(other));
}

const rank = ({ comparison, negated }: Test): number => (comparison === "eq" ? 3 : negated ? 2 : 1);
/** The value itself, or where "greater than" begins. */
const border = ({ comparison, value: { high, low } }: Test): Words => {
  if (comparison !== "gt") return { high, low };
  return low === 0xffff_ffff ? { high: high + 1, low: 0 } : { high, low: low + 1 };
};
const leading = (test: Test): Words =>
  test.comparison === "eq" || test.mask.high === 0 ? border(test) : { high: test.value.high, low: 0 };
const compareWords = (one: Words, other: Words): number => one.high - other.high || one.low - other.low;
const compareValues = (test: Test, one: Words, other: Words): number =>
  rank(test) === 2 ? compareWords(one, other) : compareWords(other, one);

/** Code that goes to `yes` where the test holds, to `no` where it does not. */
export function writeTest(writer: ProgramWriter, test: Test, yes: Label, no: Label): Label {
  const [holds, fails] = test.negated ? [no, yes] : [yes, no];
  const { index, comparison, mask, value } = test;
  const low = SECCOMP_DATA_ARGS + index * 8;
  const ask = (kind: "jeq" | "jgt" | "jge", offset: number, bits: number, k: number, t: Label, f: Label) => {
    if (bits === 0) return t;
    const jump = writer.jump(kind, k, t, f);
    if (jump === t) return t;
    return writer.load(offset, bits === 0xffff_ffff ? jump : writer.and(bits, jump));
  };
  if (comparison === "eq") {
    const rest = ask("jeq", low, mask.low, value.low, holds, fails);
    return ask("jeq", low + 4, mask.high, value.high, rest, fails);
  }
  const rest = ask(comparison === "gt" ? "jgt" : "jge", low, mask.low, value.low, holds, fails);
  if (mask.high === 0) return rest;
  // Above the value's upper word it holds, at it the lower word decides, below it fails.
  const same = writer.jump("jeq", value.high, rest, fails);
  return writer.load(low + 4, writer.jump("jgt", value.high, holds, same));
}
