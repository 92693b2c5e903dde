/**
 * What a profile says of one system call, by its rules and without BPF: which rule decides, and if none, why.
 * Not here: what the rules of a profile are (rules.ts), words for people (explain.ts).
 */
import type { Host } from "../../src/driver.ts";
import { AUDIT_ARCH_X86_64 } from "../../src/kernel/seccomp.ts";
import type { SyscallTable } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { type Abi, coveredAbis } from "./abi.ts";
import { answerOf, BAD_ARCH, NO_SUCH_CALL } from "./answer.ts";
import { isPermissive, SKIPPED } from "./compile.ts";
import { testHolds } from "./condition.ts";
import { type AbiRules, type CallRules, type ConditionalRule, isPrivate, rulesFor } from "./rules.ts";

/** A profile with its contradictions resolved, for every architecture that it covers on a host. */
export interface Model {
  readonly byDefault: number;
  /** Whether calls above the largest one that is named get ENOSYS, on the architectures that are listed. */
  readonly refusesNewer: boolean;
  readonly parts: ReadonlyMap<SyscallTable, AbiRules>;
}

/** An answer, and where it is from. */
export interface Decision {
  readonly answer: number;
  /**
   * `skipped`: the number is -1, which no rule can name. `newer`: above the largest number that the profile names.
   * `architecture`: not covered.
   */
  readonly by: "rule" | "default" | "newer" | "architecture" | "skipped";
  readonly rule: ConditionalRule | undefined;
}

/** @throws CtrError SECCOMP where the profile contradicts itself. */
export function modelOf(profile: LinuxSeccomp, arch: Host["arch"]): Model {
  const byDefault = answerOf(profile.defaultAction, profile.defaultErrnoRet, "linux.seccomp.defaultErrnoRet");
  const abis = coveredAbis(arch, profile.architectures ?? []);
  return {
    byDefault,
    refusesNewer: !isPermissive(profile.defaultAction),
    parts: new Map(abis.map((abi) => [abi.table, rulesFor(profile, abi, byDefault)])),
  };
}

/** The rules on a call, if there are any; undefined as well where the architecture is not covered. */
export function rulesOn({ parts }: Model, { table }: Abi, number: number): CallRules | undefined {
  return parts.get(table)?.calls.get(number);
}

/**
 * What a call gets.
 * @param abi has the number: x32's own, where the number has x32's bit
 */
export function decide(model: Model, abi: Abi, number: number, args: readonly bigint[]): Decision {
  const rules = rulesOn(model, abi, number);
  const rule =
    rules?.always ?? rules?.rules.find(({ tests }) => tests.every((test) => testHolds(test, args)));
  return decideBy(model, abi, number, rule);
}

/** As {@link decide}, where it is known which rule holds. */
export function decideBy(
  model: Model,
  abi: Abi,
  number: number,
  rule: ConditionalRule | undefined,
): Decision {
  // -1 has x32's bit as well. Where x32 is not covered, it is no call of another architecture for that.
  const isX32 = number === SKIPPED && abi.audit === AUDIT_ARCH_X86_64;
  const part = model.parts.get(isX32 ? "x32" : abi.table);
  if (isX32 && part === undefined && isAudited(model, abi)) {
    return { answer: model.byDefault, by: "skipped", rule: undefined };
  }
  if (part === undefined) return { answer: BAD_ARCH, by: "architecture", rule: undefined };
  const isAbove = part.listed && part.largest > 0 && number > part.largest;
  if (isAbove && !isPrivate(part.abi, number) && model.refusesNewer) {
    return { answer: NO_SUCH_CALL, by: "newer", rule: undefined };
  }
  if (rule !== undefined) return { answer: rule.answer, by: "rule", rule };
  return { answer: model.byDefault, by: number === SKIPPED ? "skipped" : "default", rule: undefined };
}

/** Whether the profile covers an architecture that the kernel does not tell from this one (x86-64 and x32). */
function isAudited({ parts }: Model, { audit }: Abi): boolean {
  return [...parts.values()].some((part) => part.abi.audit === audit);
}
