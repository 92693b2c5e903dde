/**
 * The smallest profile that answers some calls as another profile does: one rule with all names that are allowed whatever
 * their arguments, that profile's own rules where it has conditions, and the errnos that are not the default's.
 * Not here: which calls these are (record.ts).
 */
import type { Host } from "../../src/driver.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import {
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_DATA,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_LOG,
} from "../../src/kernel/seccomp.ts";
import { syscallNames, syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscall } from "../../src/spec/runtime/seccomp.ts";
import { type Abi, abisOf } from "./abi.ts";
import { answerOf, answerText } from "./answer.ts";
import { decide, decideBy, type Model, modelOf, rulesOn } from "./decide.ts";
import { multiplexed } from "./multiplexed.ts";
import { situationsOf } from "./situations.ts";

/** A call that was made. */
export interface UsedCall {
  readonly abi: Abi;
  readonly number: number;
  /** Undefined where the number has none. */
  readonly name: string | undefined;
}

/** And what it got. */
interface AnsweredCall extends UsedCall {
  readonly answers: readonly number[];
}

/** @throws CtrError SECCOMP where `base` contradicts itself. */
export function smallestProfile(
  base: LinuxSeccomp,
  arch: Host["arch"],
  calls: readonly AnsweredCall[],
): { profile: LinuxSeccomp; notes: string[] } {
  const model = modelOf(base, arch);
  // Rules that say what the default says count for nothing there, and must not count here.
  const rules = (base.syscalls ?? []).filter(
    ({ action, errnoRet }) => answerOf(action, errnoRet, "") !== model.byDefault,
  );
  const plain = new Set<string>();
  const conditional = new Set<string>();
  const refused: Refused[] = [];
  const notes: string[] = [];
  for (const { answers, ...call } of calls) {
    const { abi, number, name: known } = call;
    const isAllowed = answers.some(lets);
    if (known === undefined) {
      if (isAllowed) notes.push(`${abi.table}'s call ${number} has no name, and no profile can allow it`);
      continue;
    }
    const name = nameIn(base, model, abi, number, known);
    if (!isAllowed) {
      refused.push(...answers.flatMap(errnoOf).map((errno) => ({ call, name, errno })));
    } else if (!lets(model.byDefault) && hasConditions(rules, name)) conditional.add(name);
    else plain.add(name);
  }
  const allowing: LinuxSyscall[] = [];
  if (plain.size > 0) allowing.push({ names: [...plain].sort(), action: "SCMP_ACT_ALLOW" });
  for (const entry of rules) {
    const names = entry.names.filter((name) => conditional.has(name) && !plain.has(name)).sort();
    if (names.length > 0) allowing.push({ ...entry, names });
  }
  const seen = new Set(calls.map(({ abi }) => abi.table));
  const profileWith = (errnos: ReadonlyMap<string, number>): LinuxSeccomp => ({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: ERRNO.EPERM,
    architectures: abisOf(arch).flatMap(([name, { table }], index) =>
      index === 0 || seen.has(table) ? [name] : [],
    ),
    ...(base.flags === undefined ? {} : { flags: base.flags }),
    syscalls: [...allowing, ...errnoRules(errnos)],
  });
  const left = refused.filter(({ name }) => !plain.has(name) && !conditional.has(name));
  const { errnos, contradictions } = errnosFor(left, (given) => modelOf(profileWith(given), arch));
  const profile = profileWith(errnos);
  notes.push(...contradictions, ...widerThan(model, modelOf(profile, arch), calls));
  return { profile, notes };
}

/** A call that was refused, and the name under which a rule can say so. */
interface Refused {
  readonly call: UsedCall;
  readonly name: string;
  readonly errno: number;
}

/**
 * The errnos that have to be named. Most need not: the default's, and the one of what is newer than the profile. But
 * naming a call for its EPERM makes others no longer newer, so this goes on until nothing changes.
 */
function errnosFor(
  refused: readonly Refused[],
  modelWith: (errnos: ReadonlyMap<string, number>) => Model,
): { errnos: ReadonlyMap<string, number>; contradictions: string[] } {
  const errnos = new Map<string, number>();
  for (;;) {
    const model = modelWith(errnos);
    const wrong = refused.filter(
      ({ call, errno }) =>
        decide(model, call.abi, call.number, argsOf(call)).answer !== (SECCOMP_RET_ERRNO | errno),
    );
    const next = wrong.filter(({ name }) => !errnos.has(name));
    for (const { name, errno } of next) if (!errnos.has(name)) errnos.set(name, errno);
    if (next.length > 0) continue;
    // One name, and another errno on another architecture or with other arguments.
    const contradictions = wrong.map(({ call, name, errno }) => {
      const got = answerText(SECCOMP_RET_ERRNO | errno);
      return `${name} of ${call.abi.table}: got ${got}, and no profile can say that beside the rest`;
    });
    return { errnos, contradictions };
  }
}

/** For what is hidden behind socketcall and ipc, the argument that says so. */
function argsOf({ abi, number, name }: UsedCall): bigint[] {
  const many = abi.table === "i386" && name !== undefined ? multiplexed(name) : undefined;
  const isHidden = many !== undefined && syscallNumbers(abi.table).get(many.call) === number;
  return isHidden ? [BigInt(many.first)] : [];
}

function errnoRules(errnos: ReadonlyMap<string, number>): LinuxSyscall[] {
  const groups = [...Map.groupBy([...errnos], ([, errno]) => errno)].sort(([a], [b]) => a - b);
  return groups.map(([errnoRet, group]) => ({
    names: group.map(([name]) => name).sort(),
    action: "SCMP_ACT_ERRNO",
    errnoRet,
  }));
}

function lets(answer: number): boolean {
  const action = (answer & SECCOMP_RET_ACTION_FULL) >>> 0;
  return action === SECCOMP_RET_ALLOW || action === SECCOMP_RET_LOG;
}

function errnoOf(answer: number): number[] {
  const action = (answer & SECCOMP_RET_ACTION_FULL) >>> 0;
  return action === SECCOMP_RET_ERRNO ? [answer & SECCOMP_RET_DATA] : [];
}

/** Whether all rules that name a call ask for its arguments. */
function hasConditions(rules: readonly LinuxSyscall[], name: string): boolean {
  const naming = rules.filter(({ names }) => names.includes(name));
  return naming.length > 0 && naming.every(({ args = [] }) => args.length > 0);
}

/**
 * The name under which the profile allows a call: of those that its number has, the one that stands there; for what
 * socketcall and ipc do, these two themselves where they are allowed with whatever they do.
 */
function nameIn(base: LinuxSeccomp, model: Model, abi: Abi, number: number, name: string): string {
  const numbers = syscallNumbers(abi.table);
  const stands = (each: string): boolean => (base.syscalls ?? []).some(({ names }) => names.includes(each));
  const isHidden = numbers.get(name) !== number;
  if (isHidden && rulesOn(model, abi, number)?.always === undefined) return name;
  const own = syscallNames(abi.table).get(number) ?? name;
  if (stands(own)) return own;
  return (
    (base.syscalls ?? []).flatMap(({ names }) => names).find((each) => numbers.get(each) === number) ?? own
  );
}

/** Where the new profile allows what the other one does not: conditions that cannot be said in a list of what is allowed. */
function widerThan(base: Model, made: Model, calls: readonly AnsweredCall[]): string[] {
  const notes = new Set<string>();
  for (const { abi, number, name } of calls) {
    const [theirs, ours] = [base, made].map((model) => {
      const on = rulesOn(model, abi, number);
      return on?.always === undefined ? (on?.rules ?? []) : [on.always];
    });
    if (theirs === undefined || ours === undefined) continue;
    for (const { holding } of situationsOf([...theirs, ...ours])) {
      const [here, there] = [
        decideBy(base, abi, number, theirs[holding.find((at) => at < theirs.length) ?? -1]),
        decideBy(made, abi, number, ours[(holding.find((at) => at >= theirs.length) ?? -1) - theirs.length]),
      ];
      if (!lets(there.answer) || lets(here.answer)) continue;
      notes.add(`${name ?? number}: is allowed with all arguments, and some got ${answerText(here.answer)}`);
    }
  }
  return [...notes];
}
