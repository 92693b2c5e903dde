/**
 * Where two profiles answer differently: every call of every architecture of a host, every number without a name, every
 * combination of conditions. What profiles say in other words, but answer alike, is no difference.
 * Not here: decisions (decide.ts), which conditions can hold together (situations.ts).
 */
import type { Host, SeccompDifference, SeccompSource } from "../../src/driver.ts";
import { ARM_NR_BASE, X32_SYSCALL_BIT } from "../../src/kernel/seccomp.ts";
import { syscallNames } from "../../src/kernel/syscall-tables/tables.ts";
import { type Abi, abisOf } from "./abi.ts";
import { answerText, BAD_ARCH } from "./answer.ts";
import { SKIPPED } from "./compile.ts";
import { testText } from "./condition-text.ts";
import { type Decision, decideBy, type Model, modelOf, rulesOn } from "./decide.ts";
import { placeOf } from "./place.ts";
import type { ConditionalRule } from "./rules.ts";
import { situationsOf } from "./situations.ts";

type Pair<T> = readonly [T, T];

/** Two profiles and what is made of them. */
interface Sides {
  readonly sources: Pair<SeccompSource>;
  readonly models: Pair<Model>;
}

/** See `SeccompWorkbench.diff` of src/driver.ts. */
export function diff(one: SeccompSource, other: SeccompSource, arch: Host["arch"]): SeccompDifference[] {
  const sides: Sides = {
    sources: [one, other],
    models: [modelOf(one.profile, arch), modelOf(other.profile, arch)],
  };
  return abisOf(arch).flatMap(([, abi]) => differencesOf(sides, abi));
}

function differencesOf(sides: Sides, abi: Abi): SeccompDifference[] {
  const [here, there] = sides.models.map(({ parts }) => parts.has(abi.table));
  if (here !== there) return [uncovered(abi, here === true)];
  if (here !== true) return [];
  return rangesOf(sides.models, abi).flatMap(([from, to]) => differencesAt(sides, abi, from, to));
}

function uncovered({ table }: Abi, isFirst: boolean): SeccompDifference {
  const words = ["covered by rules", `not covered: ${answerText(BAD_ARCH)}`] as const;
  return {
    architecture: table,
    syscall: "*",
    when: undefined,
    args: undefined,
    verdicts: isFirst ? words : [words[1], words[0]],
    rules: [undefined, undefined],
  };
}

/** Numbers that get the same, whatever it is: each call alone, and what lies between calls. */
function rangesOf(models: Pair<Model>, abi: Abi): [from: number, to: number][] {
  const start = abi.table === "x32" ? X32_SYSCALL_BIT : 0;
  const end = abi.table === "x86_64" ? X32_SYSCALL_BIT : SKIPPED;
  const alone = [...syscallNames(abi.table).keys()];
  const points = new Set([start, ...alone.flatMap((number) => [number, number + 1])]);
  if (abi.table === "arm") points.add(ARM_NR_BASE);
  for (const { parts } of models) {
    const largest = parts.get(abi.table)?.largest ?? 0;
    if (largest > 0) points.add(largest + 1);
  }
  const sorted = [...points].filter((point) => point >= start && point < end).sort((a, b) => a - b);
  const ranges = sorted.map((from, index): [number, number] => [from, (sorted[index + 1] ?? end) - 1]);
  return abi.table === "x32" ? ranges : [...ranges, [SKIPPED, SKIPPED]];
}

function differencesAt({ sources, models }: Sides, abi: Abi, from: number, to: number): SeccompDifference[] {
  const [mine, yours] = models.map((model) => listed(model, abi, from));
  if (mine === undefined || yours === undefined) return [];
  const name = syscallNames(abi.table).get(from) ?? (from === to ? String(from | 0) : `${from}-${to}`);
  const asks = [...mine, ...yours].some(({ tests }) => tests.length > 0);
  const differences = new Map<string, SeccompDifference>();
  for (const { holding, args } of situationsOf([...mine, ...yours])) {
    const at = [
      holding.find((each) => each < mine.length),
      holding.find((each) => each >= mine.length),
    ] as const;
    const rules: Pair<ConditionalRule | undefined> = [
      at[0] === undefined ? undefined : mine[at[0]],
      at[1] === undefined ? undefined : yours[at[1] - mine.length],
    ];
    const [one, other] = [decideBy(models[0], abi, from, rules[0]), decideBy(models[1], abi, from, rules[1])];
    if (one.answer === other.answer || differences.has(at.join())) continue;
    differences.set(at.join(), {
      architecture: abi.table,
      syscall: name,
      when: asks ? (whenText(rules) ?? "in all other cases") : undefined,
      args: asks ? args : undefined,
      verdicts: [answerText(one.answer), answerText(other.answer)],
      rules: [placeIn(sources[0], one), placeIn(sources[1], other)],
    });
  }
  return [...differences.values()];
}

/** The rules on a call in the order in which they are asked. */
function listed(model: Model, abi: Abi, number: number): readonly ConditionalRule[] {
  const on = rulesOn(model, abi, number);
  return on?.always === undefined ? (on?.rules ?? []) : [on.always];
}

/** What both rules that decide want. */
function whenText(rules: Pair<ConditionalRule | undefined>): string | undefined {
  const words = new Set(rules.flatMap((rule) => rule?.tests ?? []).map(testText));
  return words.size === 0 ? undefined : [...words].join(" and ");
}

function placeIn(source: SeccompSource, { rule }: Decision): string | undefined {
  return rule === undefined ? undefined : placeOf(source, rule);
}
