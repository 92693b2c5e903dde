/**
 * What a profile says of each system call number of one architecture, with its contradictions resolved.
 * Not here: BPF (compile.ts), or what one comparison means (condition.ts).
 *
 * Where several rules name one call, libseccomp's way, which is runc's and crun's:
 *  - a rule with the default action and its errno says nothing and is left out;
 *  - a rule without args beats all with args, wherever they stand; of several without, the first one counts;
 *  - of rules with args the first one whose conditions all hold counts, in the order of compareTests, and of two
 *    that begin alike the one with fewer conditions: libseccomp keeps them in that order, not in the profile's;
 *  - the same conditions with two actions are refused.
 * libseccomp itself strays from this in some mixes of comparisons: docs/seccomp.md.
 */
import { fail } from "../../src/error.ts";
import { ARM_NR_BASE } from "../../src/kernel/seccomp.ts";
import { syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscall } from "../../src/spec/runtime/seccomp.ts";
import type { Abi } from "./abi.ts";
import { answerOf } from "./answer.ts";
import { compareClosely, compareTests, isVacuous, type Test, testOf } from "./condition.ts";
import { multiplexed } from "./multiplexed.ts";

/** An answer that holds where all tests do. */
export interface ConditionalRule {
  readonly tests: readonly Test[];
  readonly answer: number;
  /** `linux.seccomp.syscalls[3]` */
  readonly field: string;
}

/** What a call gets: `always`, or the first of `rules` whose tests hold, or else the default answer. */
export interface CallRules {
  readonly always: ConditionalRule | undefined;
  readonly rules: readonly ConditionalRule[];
}

/** The part of a profile for one architecture. */
export interface AbiRules {
  readonly abi: Abi;
  /** The profile's `architectures` name it; the host's own counts without. */
  readonly listed: boolean;
  readonly calls: ReadonlyMap<number, CallRules>;
  /** The largest number that the profile names, whatever it says of it; 0 for none. */
  readonly largest: number;
}

interface OpenCall {
  readonly always: ConditionalRule | undefined;
  rules: ConditionalRule[];
}

/** What the profile says for one architecture. Runs over hundreds of names when ctr-bun is still cold. */
export function rulesFor(profile: LinuxSeccomp, abi: Abi, byDefault: number): AbiRules {
  const numbers = syscallNumbers(abi.table);
  const calls = new Map<number, OpenCall>();
  const hidden = new Map<string, OpenCall>();
  let largest = 0;
  // The private calls of ARM lie far above all others; as "the largest" they would let nothing be newer.
  const reach = (number: number): number => (isPrivate(abi, number) ? largest : Math.max(largest, number));
  const isI386 = abi.table === "i386";
  for (const [index, entry] of (profile.syscalls ?? []).entries()) {
    const field = `linux.seccomp.syscalls[${index}]`;
    const answer = answerOf(entry.action, entry.errnoRet, `${field}.errnoRet`);
    const rules = alternativesOf(entry, abi).map((tests) => ({ tests, answer, field }));
    const saysNothing = answer === byDefault;
    // The long lists of names: all of them share one value.
    const plain = rules.find(({ tests }) => tests.length === 0);
    const whole: OpenCall | undefined = plain === undefined ? undefined : { always: plain, rules: [] };
    for (const name of entry.names) {
      const number = numbers.get(name);
      const many = isI386 ? multiplexed(name) : undefined;
      if (number !== undefined && number > largest) largest = reach(number);
      if (saysNothing) continue;
      if (number !== undefined) add(calls, number, whole, rules);
      if (many !== undefined) add(hidden, name, whole, rules);
    }
  }
  for (const [name, call] of hidden) addHidden(calls, name, call, numbers);
  for (const call of calls.values()) if (call.rules.length > 1) call.rules = inOrder(call.rules);
  return { abi, listed: profile.architectures?.includes(abi.name) ?? false, calls, largest };
}

/** Whether a name means something to an architecture. */
export function isCall({ table }: Abi, name: string): boolean {
  return syscallNumbers(table).has(name) || (table === "i386" && multiplexed(name) !== undefined);
}

/** Whether a number is one of ARM's own calls, which are not numbered with the rest. */
export function isPrivate(abi: Abi, number: number): boolean {
  return abi.table === "arm" && number >= ARM_NR_BASE;
}

/**
 * The conditions of an entry: all at once; or, where two look at the same argument, one after the other as
 * rules of their own, which is what runc and crun make of it.
 */
function alternativesOf({ args = [] }: LinuxSyscall, abi: Abi): Test[][] {
  const tests = args.map((arg) => testOf(arg, abi.bits));
  const repeats = new Set(args.map((arg) => arg.index)).size < args.length;
  const alternatives = repeats ? tests.map((test) => [test]) : [tests];
  return alternatives.map((all) => all.filter((test) => !isVacuous(test)).sort((a, b) => a.index - b.index));
}

function add<K>(
  calls: Map<K, OpenCall>,
  key: K,
  whole: OpenCall | undefined,
  rules: readonly ConditionalRule[],
): void {
  const call = calls.get(key);
  if (call?.always !== undefined) return;
  if (whole !== undefined) calls.set(key, whole);
  else if (call === undefined) calls.set(key, { always: undefined, rules: [...rules] });
  else call.rules.push(...rules);
}

/**
 * Rules on a call that another call hides, as rules on that one. As in libseccomp, what they say of the first
 * argument is left out: it cannot be asked, being behind a pointer there.
 */
function addHidden(
  calls: Map<number, OpenCall>,
  name: string,
  { always, rules }: OpenCall,
  numbers: ReadonlyMap<string, number>,
): void {
  const many = multiplexed(name);
  const number = many === undefined ? undefined : numbers.get(many.call);
  if (many === undefined || number === undefined) return;
  const which = testOf({ index: 0, value: many.first, op: "SCMP_CMP_EQ" }, 32);
  const seen = (always === undefined ? rules : [always]).map((rule) => ({
    ...rule,
    tests: [which, ...rule.tests.filter((test) => test.index !== 0)],
  }));
  add(calls, number, undefined, seen);
}

/** Rules in the order in which they are asked, repetitions left out. The sort is stable: equals stay as they were. */
function inOrder(rules: readonly ConditionalRule[]): ConditionalRule[] {
  const sorted = rules.toSorted(compareRules);
  return sorted.filter((rule, index) => {
    const before = sorted[index - 1];
    if (before === undefined || compareRules(before, rule) !== 0) return true;
    if (before.answer === rule.answer) return false;
    throw fail({
      code: "SECCOMP",
      field: rule.field,
      message: `another action than that of ${before.field} for the same call and the same args`,
    });
  });
}

function compareRules(one: ConditionalRule, other: ConditionalRule): number {
  return (
    compareInOrder(one, other, compareTests) ||
    one.tests.length - other.tests.length ||
    compareInOrder(one, other, compareClosely)
  );
}

/** By the first tests that make a difference, as far as both have some. */
function compareInOrder(
  { tests }: ConditionalRule,
  { tests: others }: ConditionalRule,
  compare: (one: Test, other: Test) => number,
): number {
  for (let at = 0; at < tests.length && at < others.length; at++) {
    const [one, other] = [tests[at], others[at]];
    const order = one === undefined || other === undefined ? 0 : compare(one, other);
    if (order !== 0) return order;
  }
  return 0;
}
