/**
 * Code for the rules of one call: the first one whose conditions all hold decides. Rules that stand together and look
 * at the same argument first are one question to it, however many they are.
 * Not here: the order of rules (rules.ts), a single condition (condition.ts), numbers of calls (compile.ts).
 */
import { SECCOMP_DATA_ARGS } from "../../src/kernel/seccomp.ts";
import { holdsFor, isWhole, sameArgument, sameTest, type Test, writeTest } from "./condition.ts";
import type { Label, ProgramWriter } from "./program.ts";
import type { ConditionalRule } from "./rules.ts";
import { rangeList, writeTree } from "./tree.ts";

/**
 * Code that ends with the answer of the first rule whose tests all hold, or goes to `otherwise`.
 * @param rules in the order in which they count
 * @param from tests before this one are known to hold
 */
export function writeRules(
  writer: ProgramWriter,
  rules: readonly ConditionalRule[],
  otherwise: Label,
  from = 0,
): Label {
  let next = otherwise;
  for (const group of groupsOf(rules, from).toReversed()) next = writeGroup(writer, group, next, from);
  return next;
}

/** Neighbours that one question tells apart; what stands behind a rule that asks nothing more is never reached. */
function groupsOf(rules: readonly ConditionalRule[], from: number): ConditionalRule[][] {
  const groups: ConditionalRule[][] = [];
  let group: ConditionalRule[] | undefined;
  for (const rule of rules) {
    const first = group?.[0];
    if (group !== undefined && first !== undefined && belong(first, rule, from)) group.push(rule);
    else {
      group = [rule];
      groups.push(group);
    }
    if (rule.tests.length === from) break;
  }
  return groups;
}

function belong(first: ConditionalRule, rule: ConditionalRule, from: number): boolean {
  const [one, other] = [first.tests[from], rule.tests[from]];
  if (one === undefined || other === undefined) return false;
  if (sameTest(one, other)) return true;
  return sameArgument(one, other) && isSwitched(first, one, from) && isSwitched(rule, other, from);
}

/**
 * Whether a rule can be one of a switch over its argument's value: it holds for one value only, or asks nothing more.
 * (With more to ask behind "less than", what follows would have to be written for each value.)
 */
function isSwitched({ tests }: ConditionalRule, test: Test, from: number): boolean {
  return isWhole(test) && (tests.length === from + 1 || (test.comparison === "eq" && !test.negated));
}

function writeGroup(
  writer: ProgramWriter,
  group: readonly ConditionalRule[],
  next: Label,
  from: number,
): Label {
  const [first] = group;
  const test = first?.tests[from];
  if (first === undefined) return next;
  if (test === undefined) return writer.ret(first.answer);
  const isOne = group.every(({ tests: { [from]: other } }) => other !== undefined && sameTest(test, other));
  if (isOne) return writeTest(writer, test, writeRules(writer, group, next, from + 1), next);
  return writeSwitch(writer, group, test, next, from);
}

/** A tree over the argument's upper word, and where that leaves a choice, one over its lower word. */
function writeSwitch(
  writer: ProgramWriter,
  group: readonly ConditionalRule[],
  { index, mask }: Test,
  next: Label,
  from: number,
): Label {
  const offset = SECCOMP_DATA_ARGS + index * 8;
  const tests = group.flatMap(({ tests: { [from]: test } }) => test ?? []);
  /** Label for an argument with this value. */
  const labelOf = (high: number, low: number): Label => {
    const left: ConditionalRule[] = [];
    for (const [at, rule] of group.entries()) {
      const test = tests[at];
      if (test === undefined || !holdsFor(test, high, low)) continue;
      left.push(rule);
      if (rule.tests.length === from + 1) break;
    }
    return writeRules(writer, left, next, from + 1);
  };
  const byLow = (high: number): Label => {
    const lows = rangeList();
    const here = tests.filter(({ value }) => value.high === high).map(({ value }) => value.low);
    for (const low of bordersOf(here)) lows.put(low, labelOf(high, low));
    return lows.all.length === 1 ? labelOf(high, 0) : writer.load(offset, writeTree(writer, lows.all));
  };
  if (mask.high === 0) return byLow(0);
  const highs = rangeList();
  for (const high of bordersOf(tests.map(({ value }) => value.high))) highs.put(high, byLow(high));
  if (highs.all.length === 1) return byLow(0);
  return writer.load(offset + 4, writeTree(writer, highs.all));
}

/** 0, and where numbers before, at and after each of these may have different answers; sorted. */
function bordersOf(values: readonly number[]): number[] {
  const borders = new Set([0]);
  for (const value of values) {
    borders.add(value);
    if (value < 0xffff_ffff) borders.add(value + 1);
  }
  return [...borders].sort((a, b) => a - b);
}
