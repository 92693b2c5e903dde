/**
 * Conditions of a rule in words: `args[0] & 0x7e020000 == 0x0`. Not here: what they mean (condition.ts).
 */
import { bigWord, type Test } from "./condition.ts";

const signs = {
  eq: ["==", "!="],
  gt: [">", "<="],
  ge: [">=", "<"],
} as const satisfies Record<Test["comparison"], readonly [string, string]>;

/** One comparison. */
export function testText({ index, comparison, negated, mask, value }: Test): string {
  const sign = signs[comparison][negated ? 1 : 0];
  const bits = bigWord(mask);
  const isWhole = bits === 0xffff_ffff_ffff_ffffn || bits === 0xffff_ffffn;
  const masked = isWhole ? `args[${index}]` : `(args[${index}] & 0x${bits.toString(16)})`;
  return `${masked} ${sign} 0x${bigWord(value).toString(16)}`;
}

/** All conditions of a rule; undefined where there are none. */
export function testsText(tests: readonly Test[]): string | undefined {
  return tests.length === 0 ? undefined : tests.map(testText).join(" and ");
}
