/**
 * Why a system call gets what it gets: the rule that decides, what else the profile says of the call and why that does
 * not count, and the way through the filter.
 * Not here: the decision (decide.ts), which conditions can hold together (situations.ts).
 */
import type { Host, SeccompExplanation, SeccompOutcome, SeccompSource } from "../../src/driver.ts";
import { X32_SYSCALL_BIT } from "../../src/kernel/seccomp.ts";
import { syscallNames, syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSyscall } from "../../src/spec/runtime/seccomp.ts";
import type { Abi } from "./abi.ts";
import { answerOf, answerText } from "./answer.ts";
import { architectureOf, hostOf } from "./architecture.ts";
import { findCall } from "./call.ts";
import { compile } from "./compile.ts";
import { testsText } from "./condition-text.ts";
import { type Decision, decide, decideBy, type Model, modelOf, rulesOn } from "./decide.ts";
import { interpret } from "./interpret.ts";
import { multiplexed } from "./multiplexed.ts";
import { placeOf } from "./place.ts";
import { type ConditionalRule, isCall } from "./rules.ts";
import { situationsOf } from "./situations.ts";

/** What is asked, and of what. */
interface Question {
  readonly source: SeccompSource;
  readonly model: Model;
  readonly filter: Uint8Array;
  readonly abi: Abi;
  readonly number: number;
  readonly name: string;
}

/** See `SeccompWorkbench.explain` of src/driver.ts. */
export function explain(
  source: SeccompSource,
  kernel: Host["kernelVersion"],
  architecture: string,
  syscall: string,
  args?: readonly bigint[],
): SeccompExplanation {
  const arch = hostOf(architecture);
  const { abi, number, name } = findCall(arch, architectureOf(architecture), syscall);
  const { filter } = compile(source.profile, arch, kernel);
  const question = { source, model: modelOf(source.profile, arch), filter, abi, number, name };
  return {
    syscall: name,
    number,
    architecture: abi.table,
    outcomes: args === undefined ? allOutcomes(question) : [outcomeFor(question, args)],
    notes: notesOn(question),
  };
}

function outcomeFor(question: Question, args: readonly bigint[]): SeccompOutcome {
  const { model, abi, number } = question;
  const decision = decide(model, abi, number, args);
  const when = decision.rule === undefined ? undefined : testsText(decision.rule.tests);
  return outcome(question, decision, when, args);
}

/** One for each rule that can be the first to hold, and one for none of them, as far as there are such arguments. */
function allOutcomes(question: Question): SeccompOutcome[] {
  const { model, abi, number } = question;
  const on = rulesOn(model, abi, number);
  const rules = on?.always === undefined ? (on?.rules ?? []) : [on.always];
  const first = new Map<number, readonly bigint[]>();
  for (const { holding, args } of situationsOf(rules)) {
    const [which = rules.length] = holding;
    if (!first.has(which)) first.set(which, args);
  }
  return [...first]
    .sort(([one], [other]) => one - other)
    .map(([which, args]) => {
      const rule = rules[which];
      const otherwise = rules.length > 0 ? "in all other cases" : undefined;
      const when = rule === undefined ? otherwise : testsText(rule.tests);
      return outcome(question, decideBy(model, abi, number, rule), when, args);
    });
}

function outcome(
  question: Question,
  decision: Decision,
  when: string | undefined,
  args: readonly bigint[],
): SeccompOutcome {
  const { filter, number, abi, source } = question;
  const path: number[] = [];
  const answer = interpret(filter, { number, audit: abi.audit, args }, (at) => path.push(at));
  if (answer !== decision.answer) {
    throw new Error(`the filter answers ${answerText(answer)}, and the rules ${answerText(decision.answer)}`);
  }
  return {
    when,
    args,
    answer,
    verdict: answerText(answer),
    rule: decision.rule === undefined ? undefined : placeOf(source, decision.rule),
    why: whyText(question, decision),
    path,
  };
}

function whyText({ source, model, abi, number, name }: Question, { by, rule }: Decision): string {
  const { profile } = source;
  const byDefault = `the default action, ${answerText(model.byDefault)}`;
  switch (by) {
    case "rule":
      return rule === undefined || rule.tests.length === 0
        ? "it names the call, and has no conditions"
        : `the first rule whose conditions hold: ${testsText(rule.tests)}`;
    case "architecture":
      return `the profile does not cover ${abi.table}: its architectures are ${(profile.architectures ?? ["the host's own alone"]).join(", ")}`;
    case "skipped":
      return `-1 is what a tracer writes over a call's number to have it left out; it gets ${byDefault}`;
    case "newer": {
      const largest = model.parts.get(abi.table)?.largest ?? 0;
      const known = syscallNames(abi.table).get(largest) ?? "";
      return `newer than the profile: of ${abi.table}, ${known} (${largest & ~X32_SYSCALL_BIT}) is the largest number that it names, and programs fall back on ENOSYS`;
    }
    case "default": {
      const rules = rulesOn(model, abi, number)?.rules ?? [];
      return rules.length === 0
        ? `no rule ${namingRules(source, abi, number, name).length > 0 ? "says anything else" : "names it"}: ${byDefault}`
        : `no rule's conditions hold: ${byDefault}`;
    }
  }
}

interface Naming {
  readonly index: number;
  readonly entry: LinuxSyscall;
  /** The name that stands in the rule. */
  readonly name: string;
}

/** The rules that name a call: by any name that its number has, or, for socketcall and ipc, by what they hide. */
function namingRules({ profile }: SeccompSource, abi: Abi, number: number, name: string): Naming[] {
  const numbers = syscallNumbers(abi.table);
  const hides = (each: string): boolean =>
    abi.table === "i386" && multiplexed(each)?.call === name && isCall(abi, each);
  return (profile.syscalls ?? []).flatMap((entry, index) => {
    const found = entry.names.find((each) => numbers.get(each) === number || hides(each));
    return found === undefined ? [] : [{ index, entry, name: found }];
  });
}

function notesOn(question: Question): string[] {
  const { source, model, abi, number, name } = question;
  if (!model.parts.has(abi.table)) return [];
  const on = rulesOn(model, abi, number);
  const notes: string[] = [];
  for (const { index, entry } of namingRules(source, abi, number, name)) {
    const place = source.places[index] ?? "";
    const note = noteOn(question, entry, index, on?.always);
    if (note !== undefined) notes.push(`${place}: ${note}`);
    const repeated = repeatedArgument(entry);
    if (repeated !== undefined && on?.always === undefined) {
      notes.push(
        `${place}: names args[${repeated}] more than once, so its conditions are alternatives: each is a rule of its own, and one that holds is enough`,
      );
    }
  }
  for (const { place, names, action, why } of source.left) {
    if (names.some((each) => syscallNumbers(abi.table).get(each) === number)) {
      notes.push(`${place}: ${action} for it is left out: ${why}`);
    }
  }
  const many = abi.table === "i386" ? multiplexed(name) : undefined;
  if (many !== undefined) {
    notes.push(
      `on i386 programs also make this call as ${many.call}(${many.first}, ...), where its arguments are behind a pointer: conditions on args[0] are not asked there`,
    );
  }
  return notes;
}

/** Why a rule that names the call does not count, if it does not. */
function noteOn(
  { model, source }: Question,
  entry: LinuxSyscall,
  index: number,
  always: ConditionalRule | undefined,
): string | undefined {
  const answer = answerOf(entry.action, entry.errnoRet, "");
  if (answer === model.byDefault) return "says what the default action says, and is left out";
  if (always === undefined || always.field === `linux.seccomp.syscalls[${index}]`) return undefined;
  const winner = placeOf(source, always);
  return (entry.args ?? []).length > 0
    ? `${answerText(answer)} with conditions does not count: ${winner} has none, and beats all that have`
    : `${answerText(answer)} does not count: ${winner} comes first`;
}

function repeatedArgument({ args = [] }: LinuxSyscall): number | undefined {
  return args.find(({ index }, at) => args.findIndex((each) => each.index === index) < at)?.index;
}
