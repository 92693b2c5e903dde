/**
 * Which part of a profile ended a process, from what the kernel's log tells of the call (audit type 1326), and what would
 * allow it. The log has no arguments: where they decide, all rules are named that may have done it.
 * Not here: reading the log (src/kernel/audit.ts), words for people (src/runtime/sigsys.ts).
 */
import type { Host, SeccompCause, SeccompEvent } from "../../src/driver.ts";
import { SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ALLOW, X32_SYSCALL_BIT } from "../../src/kernel/seccomp.ts";
import { syscallNames } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp, LinuxSyscall, SeccompArchitecture } from "../../src/spec/runtime/seccomp.ts";
import { type Abi, abisOf, nativeAbi } from "./abi.ts";
import { answerOf, answerText, BAD_ARCH } from "./answer.ts";
import { SKIPPED } from "./compile.ts";
import { type Model, modelOf, rulesOn } from "./decide.ts";
import { multiplexed } from "./multiplexed.ts";

/** A change of a profile that allows a call. */
export type Remedy =
  /** A rule more, at this place, or at any. */
  | { readonly do: "add"; readonly rule: LinuxSyscall; readonly before: number | undefined }
  /** Names taken out of rules. */
  | { readonly do: "remove"; readonly names: readonly string[]; readonly from: readonly number[] }
  | { readonly do: "cover"; readonly architecture: SeccompArchitecture };

const ARCHITECTURES = "linux.seccomp.architectures";
const fieldOf = (index: number): string => `linux.seccomp.syscalls[${index}]`;
const actionOf = (answer: number): number => (answer & SECCOMP_RET_ACTION_FULL) >>> 0;

interface Found {
  /** `mkdir`, `socketcall of i386` */
  readonly call: string;
  /** As {@link SeccompCause}'s. */
  readonly fields: readonly string[];
  readonly remedy: Remedy | undefined;
}

/** As the contract has it (src/driver.ts). @throws CtrError SECCOMP where the profile contradicts itself. */
export function causeOf(profile: LinuxSeccomp, arch: Host["arch"], event: SeccompEvent): SeccompCause {
  const { call, fields, remedy } = findCause(profile, arch, event);
  return {
    call,
    action: `SCMP_ACT_${answerText(actionOf(event.answer))}`,
    fields,
    remedy: remedy === undefined ? undefined : remedyText(remedy),
  };
}

/** The cause, with the remedy as a value. */
export function findCause(profile: LinuxSeccomp, arch: Host["arch"], event: SeccompEvent): Found {
  const { number, audit, answer } = event;
  const [first, x32] = abisOf(arch).filter(([, each]) => each.audit === audit);
  const isX32 = number >= X32_SYSCALL_BIT && number !== SKIPPED;
  const [architecture, abi] = (isX32 ? x32 : undefined) ?? first ?? [];
  if (architecture === undefined || abi === undefined) {
    const call = `system call ${number} of architecture 0x${audit.toString(16)}`;
    return { call, fields: actionOf(answer) === BAD_ARCH ? [ARCHITECTURES] : [], remedy: undefined };
  }
  const name = syscallNames(abi.table).get(number);
  const words = name ?? `system call ${number}`;
  const call = abi.table === nativeAbi(arch).table ? words : `${words} of ${abi.table}`;
  const model = modelOf(profile, arch);
  if (model.parts.has(abi.table)) return { call, ...ruleOf(profile, model, abi, event, name) };
  if (actionOf(answer) !== BAD_ARCH) return { call, fields: [], remedy: undefined };
  return { call, fields: [ARCHITECTURES], remedy: { do: "cover", architecture } };
}

/** The rules, and the default, that may have given the answer to a call of an architecture that is covered. */
function ruleOf(
  { syscalls = [] }: LinuxSeccomp,
  model: Model,
  abi: Abi,
  { number, answer }: SeccompEvent,
  name: string | undefined,
): Omit<Found, "call"> {
  const action = actionOf(answer);
  const { byDefault } = model;
  const { always, rules = [] } = rulesOn(model, abi, number) ?? {};
  const deciding = (always === undefined ? rules : [always]).filter(
    (rule) => actionOf(rule.answer) === action,
  );
  const fields = [...new Set(deciding.map(({ field }) => field))];
  if (always === undefined && actionOf(byDefault) === action) fields.push("linux.seccomp.defaultAction");
  if (fields.length === 0 || name === undefined) return { fields, remedy: undefined };
  if (byDefault !== SECCOMP_RET_ALLOW) {
    const rule: LinuxSyscall = { names: [name], action: "SCMP_ACT_ALLOW" };
    // A rule without args beats all that have some; of those without, the first one counts.
    const first = syscalls.findIndex((_, index) => fieldOf(index) === always?.field);
    return { fields, remedy: { do: "add", rule, before: first < 0 ? undefined : first } };
  }
  // A rule that says what the default says counts for nothing: this one has to go.
  const isMeant = (each: string): boolean =>
    each === name || (abi.table === "i386" && multiplexed(each)?.call === name);
  const guilty = [...syscalls.entries()].filter(
    ([index, entry]) =>
      entry.names.some(isMeant) &&
      actionOf(answerOf(entry.action, entry.errnoRet, `${fieldOf(index)}.errnoRet`)) === action,
  );
  const names = new Set(guilty.flatMap(([, entry]) => entry.names.filter(isMeant)));
  return { fields, remedy: { do: "remove", names: [...names], from: guilty.map(([index]) => index) } };
}

/** The change in words, to stand behind "to allow it,". */
export function remedyText(remedy: Remedy): string {
  if (remedy.do === "cover") return `add ${remedy.architecture} to ${ARCHITECTURES}`;
  if (remedy.do === "remove")
    return `take ${remedy.names.join(", ")} out of ${remedy.from.map(fieldOf).join(" and ")}`;
  const { before, rule } = remedy;
  const where = before === undefined ? "to linux.seccomp.syscalls" : `before ${fieldOf(before)}`;
  return `add ${JSON.stringify(rule)} ${where}`;
}
