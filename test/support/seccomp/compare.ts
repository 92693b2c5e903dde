/**
 * Ours against libseccomp's: the same verdict on every call, and where not, why. Ours must be what the profile says, and
 * then there are five ways in which libseccomp's may differ, which docs/seccomp.md explains with examples:
 *  - `order`: rules of different actions match, and with their order changes what libseccomp says, or whether it takes
 *    them at all;
 *  - `astray`: libseccomp's verdict is one that no matching rule and no default gives, or it is another one once the
 *    rules that do not match are taken out of the profile;
 *  - `uneven`: rules of different actions match, and libseccomp has two verdicts for one and the same set of them.
 *  - `hidden`: libseccomp refuses a profile for rules that contradict each other where they are never asked: on calls
 *    that none of the architectures has, or behind socketcall and ipc of SCMP_ARCH_X86, where it sees no first argument.
 *  - `endless`: libseccomp does not come to an end over a profile; there is nothing to compare with.
 * Anything else is unexplained. There must be none.
 */
import { type Abi, coveredAbis } from "../../../drivers/seccomp/abi.ts";
import { NO_SUCH_CALL } from "../../../drivers/seccomp/answer.ts";
import { compile } from "../../../drivers/seccomp/compile.ts";
import type { Host } from "../../../src/driver.ts";
import { CtrError } from "../../../src/error.ts";
import { X32_SYSCALL_BIT } from "../../../src/kernel/seccomp.ts";
import { syscallNames, syscallNumbers } from "../../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscall } from "../../../src/spec/runtime/seccomp.ts";
import { seeded } from "../random.ts";
import { argumentsFor } from "./arguments.ts";
import { type Data, dataOf, type Filter, filterOf, run } from "./bpf.ts";
import {
  alternatives,
  libseccompFilters,
  libseccompNumbers,
  libseccompOutcomes,
  tokens,
} from "./libseccomp.ts";
import { newerThan, reading } from "./meaning.ts";

/** A case in which the two differ, or a profile that only one of them takes (without a call). */
export interface Difference {
  readonly profile: LinuxSeccomp;
  readonly table?: string;
  readonly number?: number;
  readonly name?: string | undefined;
  readonly args?: readonly bigint[];
  readonly ours?: number;
  readonly theirs?: number;
  readonly why: string;
}

/** What a comparison came to. Cases are (profile, system call, arguments). */
export interface Tally {
  profiles: number;
  /** Profiles that both refuse. */
  refused: number;
  cases: number;
  /** Cases in which rules of different actions match. */
  contradicted: number;
  order: number;
  astray: number;
  uneven: number;
  hidden: number;
  endless: number;
  readonly unexplained: Difference[];
  /** One of each explained kind, to look at. */
  readonly examples: Difference[];
}

/** An empty tally. */
export function newTally(): Tally {
  return {
    profiles: 0,
    refused: 0,
    cases: 0,
    contradicted: 0,
    order: 0,
    astray: 0,
    uneven: 0,
    hidden: 0,
    endless: 0,
    unexplained: [],
    examples: [],
  };
}

/** Compares all of these profiles on every number and on boundary arguments, and adds to the tally. */
export function compareAll(profiles: readonly LinuxSeccomp[], arch: Host["arch"], tally: Tally): void {
  const theirs = libseccompOutcomes(profiles.map((profile) => ({ profile, arch })));
  for (const [index, profile] of profiles.entries()) {
    tally.profiles++;
    const outcome = theirs[index];
    if (outcome === "endless") {
      note(tally, "endless", { profile, why: "libseccomp does not come to an end" });
      continue;
    }
    const filter = outcome === "refused" ? undefined : outcome;
    const ours = compiled(profile, arch);
    if (ours === undefined && filter === undefined) tally.refused++;
    else if (ours === undefined || filter === undefined) {
      const kind = ours === undefined ? ownRefusal(profile, arch) : refusal(profile, arch);
      const why = `refused by ${ours === undefined ? "us" : "libseccomp"} alone`;
      if (kind === undefined) tally.unexplained.push({ profile, why });
      else note(tally, kind, { profile, why });
    } else compareOne(profile, arch, filterOf(ours), filterOf(filter), tally);
  }
}

/** Why libseccomp alone refuses a profile. */
function refusal(profile: LinuxSeccomp, arch: Host["arch"]): Kind | undefined {
  const rules = rulesOf(profile).map(({ rule }) => rule);
  if (inOrders(profile, rules, arch).some((filter) => filter !== undefined)) return "order";
  const abis = coveredAbis(arch, profile.architectures ?? []);
  const here = (name: string): boolean => abis.some(({ table }) => syscallNumbers(table).has(name));
  const syscalls = rules.map((rule) => ({ ...rule, names: rule.names.filter(here) }));
  const architectures = (profile.architectures ?? []).filter((name) => name !== "SCMP_ARCH_X86");
  const [seen] = libseccompFilters([{ profile: { ...profile, architectures, syscalls }, arch }]);
  return seen === undefined ? undefined : "hidden";
}

/** Why we alone do: on an architecture of 32 bits two rules ask the same in other words, which libseccomp misses. */
function ownRefusal(profile: LinuxSeccomp, arch: Host["arch"]): Kind | undefined {
  return compiled({ ...profile, architectures: [] }, arch) === undefined ? undefined : "hidden";
}

function compiled(profile: LinuxSeccomp, arch: Host["arch"]): Uint8Array | undefined {
  try {
    return compile(profile, arch, [6, 1]).filter;
  } catch (error) {
    if (error instanceof CtrError && error.code === "SECCOMP") return undefined;
    throw error;
  }
}

function compareOne(
  profile: LinuxSeccomp,
  arch: Host["arch"],
  ours: Filter,
  theirs: Filter,
  tally: Tally,
): void {
  let others: Others | undefined;
  const abis = coveredAbis(arch, profile.architectures ?? []);
  const hasX32 = abis.some(({ table }) => table === "x32");
  for (const abi of abis) {
    const tried = argumentsFor(profile, abi);
    // runc puts ENOSYS before libseccomp's filter: seccomp-runc.test.ts shows that it does, and where.
    const isNewer = newerThan(profile, abi);
    for (const number of numbersFor(abi)) {
      if (hasX32 && abi.table === "x86_64" && number >= X32_SYSCALL_BIT) continue;
      for (const args of tried.get(number) ?? PLAIN) {
        const data = dataOf(number, abi.audit, args);
        tally.cases++;
        const answer = run(ours, data);
        const theirAnswer = isNewer(number) ? NO_SUCH_CALL : run(theirs, data);
        if (answer === theirAnswer) continue;
        others ??= othersOf(profile, arch);
        const call = { abi, number, args, answer, theirAnswer };
        const found = explain(profile, call, data, theirs, others, tried.get(number) ?? PLAIN);
        if (found.isContradicted) tally.contradicted++;
        const difference: Difference = {
          profile,
          table: abi.table,
          number,
          name: syscallNames(abi.table).get(number),
          args,
          ours: answer,
          theirs: theirAnswer,
          why: found.why,
        };
        if (found.kind === undefined) tally.unexplained.push(difference);
        else note(tally, found.kind, difference);
      }
    }
  }
}

/** A call on which the two differ. */
interface Differing {
  readonly abi: Abi;
  readonly number: number;
  readonly args: readonly bigint[];
  readonly answer: number;
  readonly theirAnswer: number;
}

type Kind = "order" | "astray" | "uneven" | "hidden" | "endless";

function explain(
  profile: LinuxSeccomp,
  { abi, number, args, answer, theirAnswer }: Differing,
  data: Data,
  theirs: Filter,
  others: Others,
  alike: readonly (readonly bigint[])[],
): { readonly kind: Kind | undefined; readonly why: string; readonly isContradicted: boolean } {
  const said = reading(profile, abi, number, args);
  const right = [...said.always, ...said.sometimes];
  const isContradicted = new Set(right).size > 1;
  if (right.length === 0) right.push(said.otherwise);
  const is = (kind: Kind | undefined, why: string) => ({ kind, why, isContradicted });
  if (!right.includes(answer)) return is(undefined, "ours is not what the profile says");
  if (!right.includes(theirAnswer)) return is("astray", "libseccomp answers what no rule says");
  const [asGiven, ...otherOrders] = others.orders(said.rules);
  if (asGiven !== undefined && run(asGiven, data) !== theirAnswer) {
    return is("astray", "libseccomp's answer changes with rules that do not match");
  }
  if (otherOrders.some((filter) => filter === undefined || run(filter, data) !== theirAnswer)) {
    return is("order", "libseccomp goes by the order of rules");
  }
  const isUneven = alike.some((other) => {
    const against = reading(profile, abi, number, other);
    return against.rules === said.rules && run(theirs, dataOf(number, abi.audit, other)) !== theirAnswer;
  });
  if (isUneven) return is("uneven", "libseccomp has two answers where the same rules match");
  return is(undefined, "both are right, and libseccomp's depends on nothing else");
}

function note(tally: Tally, kind: Kind, difference: Difference): void {
  if (tally[kind]++ === 0) tally.examples.push(difference);
}

/** libseccomp's filters for parts of a profile, made when asked for. */
interface Others {
  /** The rules that a reading names: as they stand, backwards, shuffled. Undefined for one that libseccomp refuses. */
  orders(rules: string): readonly (Filter | undefined)[];
}

function othersOf(profile: LinuxSeccomp, arch: Host["arch"]): Others {
  const made = new Map<string, readonly (Filter | undefined)[]>();
  return {
    orders(ids) {
      const wanted = ids.split(",");
      const rules = rulesOf(profile).flatMap(({ rule, id }) => (wanted.includes(id) ? rule : []));
      const filters = made.get(ids) ?? inOrders(profile, rules, arch);
      made.set(ids, filters);
      return filters;
    },
  };
}

/** Each alternative as a rule of its own, under the name that a reading gives it. */
function rulesOf({ syscalls = [] }: LinuxSeccomp): { readonly rule: LinuxSyscall; readonly id: string }[] {
  return syscalls.flatMap((entry, at) =>
    alternatives(entry.args ?? []).map((args, which) => ({
      rule: { ...entry, args: [...args] },
      id: `${at}.${which}`,
    })),
  );
}

function inOrders(profile: LinuxSeccomp, rules: LinuxSyscall[], arch: Host["arch"]): (Filter | undefined)[] {
  const orders = [rules, rules.toReversed(), ...[1, 2, 3].map((seed) => shuffled(rules, seed))];
  const filters = libseccompFilters(orders.map((syscalls) => ({ profile: { ...profile, syscalls }, arch })));
  return filters.map((filter) => (filter === undefined ? undefined : filterOf(filter)));
}

function shuffled<T>(values: readonly T[], seed: number): T[] {
  const random = seeded(seed);
  return values
    .map((value) => ({ value, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

const PLAIN: readonly (readonly bigint[])[] = [[]];

const numbers = new Map<string, number[]>();

/** Every number of a table, those around, and -1; without calls whose name libseccomp does not know, being older, or takes for none of this architecture. */
function numbersFor(abi: Abi): number[] {
  let known = numbers.get(abi.table);
  if (known === undefined) {
    const base = abi.table === "x32" ? 0x4000_0000 : 0;
    const all = [...syscallNumbers(abi.table)];
    const theirs = libseccompNumbers(
      tokens[abi.name] ?? 0,
      all.map(([name]) => name),
    );
    const disputed = new Set(
      all.filter(([, own], index) => theirs[index] !== own).map(([, number]) => number),
    );
    const some = Array.from({ length: 601 }, (_, index) => base + index);
    const last = [0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff].filter(
      (number) => number >= base,
    );
    known = [...new Set([...all.map(([, number]) => number), ...some, ...last])].filter(
      (number) => !disputed.has(number),
    );
    numbers.set(abi.table, known);
  }
  return known;
}
