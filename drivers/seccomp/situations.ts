/**
 * Which rules on a call can hold at the same time, with arguments for which exactly these do: found by splitting the
 * values of each argument at every comparison, not by trying some. Not here: which of the rules then counts.
 */
import { bigWord, sameTest, type Test } from "./condition.ts";
import type { ConditionalRule } from "./rules.ts";

/** Values of one argument for which the same tests hold. */
interface Part {
  /** In the order of the tests. */
  readonly holds: readonly boolean[];
  /** The least of them. */
  readonly example: bigint;
}

/** A set of rules that hold together. */
export interface Situation {
  /** Their places in the list, in order. */
  readonly holding: readonly number[];
  /** Six arguments for which these rules hold, and no others. */
  readonly args: readonly bigint[];
}

/** All situations that there are; with no rules the one in which none holds. */
export function situationsOf(rules: readonly Pick<ConditionalRule, "tests">[]): Situation[] {
  let found: Situation[] = [{ holding: [...rules.keys()], args: Array<bigint>(6).fill(0n) }];
  for (let index = 0; index < 6; index++) {
    const tests = testsOn(rules, index);
    if (tests.length === 0) continue;
    const parts = partsOf(tests);
    const next = new Map<string, Situation>();
    for (const { holding, args } of found) {
      for (const { holds, example } of parts) {
        const isRefuted = (test: Test): boolean =>
          test.index === index && holds[tests.findIndex((each) => sameTest(each, test))] === false;
        const left = holding.filter((at) => rules[at]?.tests.some(isRefuted) !== true);
        const key = left.join();
        if (!next.has(key)) next.set(key, { holding: left, args: args.with(index, example) });
      }
    }
    found = [...next.values()];
  }
  return found;
}

/** The different tests of one argument. */
function testsOn(rules: readonly Pick<ConditionalRule, "tests">[], index: number): Test[] {
  const different: Test[] = [];
  for (const test of rules.flatMap(({ tests }) => tests)) {
    if (test.index === index && !different.some((each) => sameTest(each, test))) different.push(test);
  }
  return different;
}

/** How the bits of a value that were looked at stand to a test's: the same so far, above, below. */
type Order = 0 | 1 | -1;

/**
 * Every combination of tests that values of 64 bits can make hold. Goes through the bits from the highest, and keeps of
 * all values that stand alike to all tests the least one.
 */
function partsOf(tests: readonly Test[]): Part[] {
  const sides = tests.map(({ mask, value }) => ({ mask: bigWord(mask), value: bigWord(value) }));
  const seen = sides.reduce((all, { mask }) => all | mask, 0n);
  let states = new Map<string, { orders: readonly Order[]; value: bigint }>();
  states.set("", { orders: tests.map(() => 0), value: 0n });
  for (let bit = 1n << 63n; bit > 0n; bit >>= 1n) {
    if ((seen & bit) === 0n) continue;
    const next: typeof states = new Map();
    for (const { orders, value } of states.values()) {
      for (const with1 of [false, true]) {
        const after = orders.map((order, at): Order => {
          const side = sides[at];
          if (order !== 0 || side === undefined || (side.mask & bit) === 0n) return order;
          const wants1 = (side.value & bit) !== 0n;
          return wants1 === with1 ? 0 : with1 ? 1 : -1;
        });
        const key = after.join();
        const reached = with1 ? value | bit : value;
        const known = next.get(key);
        if (known === undefined || reached < known.value) next.set(key, { orders: after, value: reached });
      }
    }
    states = next;
  }
  const parts = new Map<string, Part>();
  for (const { orders, value } of states.values()) {
    const holds = tests.map(({ comparison, negated }, at) => {
      const order = orders[at] ?? 0;
      return { eq: order === 0, gt: order > 0, ge: order >= 0 }[comparison] !== negated;
    });
    const known = parts.get(holds.join());
    if (known === undefined || value < known.example) parts.set(holds.join(), { holds, example: value });
  }
  return [...parts.values()];
}
