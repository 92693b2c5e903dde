/**
 * linux.seccomp to a filter: architecture, then number, then arguments.
 * Not here: reading the rules (rules.ts), flags (flags.ts).
 */
import type { Host, SeccompProgram } from "../../src/driver.ts";
import {
  ARM_NR_BASE,
  SECCOMP_DATA_ARCH,
  SECCOMP_DATA_NR,
  X32_SYSCALL_BIT,
} from "../../src/kernel/seccomp.ts";
import { syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { coveredAbis } from "./abi.ts";
import { answerOf, BAD_ARCH, NO_SUCH_CALL } from "./answer.ts";
import { writeRules } from "./call-code.ts";
import { filterFlags } from "./flags.ts";
import { frequentNumbers } from "./frequent.ts";
import { type Label, type ProgramWriter, programWriter } from "./program.ts";
import { type AbiRules, type CallRules, isCall, isPrivate, rulesFor } from "./rules.ts";
import { type Range, type RangeList, rangeList, writeTree } from "./tree.ts";

/** -1: what a tracer writes over the number of a call that it wants left out (ptrace(2)). */
export const SKIPPED = 0xffff_ffff;

/** What a call that programs make all the time weighs, where others weigh 1. */
const OFTEN = 4;

/**
 * Compiles a profile.
 * @throws CtrError SECCOMP where the profile contradicts itself, is too long, or asks for what the kernel lacks
 */
export function compile(
  profile: LinuxSeccomp,
  arch: Host["arch"],
  kernel: Host["kernelVersion"],
): SeccompProgram {
  const { defaultAction, defaultErrnoRet, architectures = [], syscalls = [] } = profile;
  const byDefault = answerOf(defaultAction, defaultErrnoRet, "linux.seccomp.defaultErrnoRet");
  const newer = isPermissive(defaultAction) ? undefined : NO_SUCH_CALL;
  const abis = coveredAbis(arch, architectures);
  const parts = abis.map((abi) => rulesFor(profile, abi, byDefault));
  const unknown = new Set<string>();
  const notify = new Set<string>(defaultAction === "SCMP_ACT_NOTIFY" ? ["every other call"] : []);
  for (const { names, action } of syscalls) {
    for (const name of names) {
      if (!abis.some((abi) => isCall(abi, name))) unknown.add(name);
      else if (action === "SCMP_ACT_NOTIFY") notify.add(name);
    }
  }
  return {
    filter: write(parts, byDefault, newer),
    flags: filterFlags(profile.flags, notify.size > 0, kernel),
    notify: [...notify],
    unknown: [...unknown],
  };
}

const PERMISSIVE: readonly LinuxSeccomp["defaultAction"][] = [
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_NOTIFY",
];

/**
 * runc's rule: where the default refuses, calls newer than the profile get ENOSYS on the architectures that it lists,
 * so that programs fall back to older ones. A tracer, or an agent, is expected to know what it does.
 */
export function isPermissive(action: LinuxSeccomp["defaultAction"]): boolean {
  return PERMISSIVE.includes(action);
}

function write(parts: readonly AbiRules[], byDefault: number, newer: number | undefined): Uint8Array {
  const writer = programWriter();
  let entry = writer.ret(BAD_ARCH);
  // Last first: the host's own architecture is asked for first, and stands right behind the question.
  const audits = [...new Set(parts.map(({ abi }) => abi.audit))].reverse();
  for (const audit of audits) {
    const ranges = rangeList();
    const mine = parts.filter(({ abi }) => abi.audit === audit);
    for (const part of mine) addRanges(writer, ranges, part, byDefault, newer);
    const covers = (table: AbiRules["abi"]["table"]): boolean => mine.some(({ abi }) => abi.table === table);
    if (covers("x86_64") && !covers("x32")) {
      // libseccomp's way: these are calls of another architecture, but for what a tracer writes.
      ranges.put(X32_SYSCALL_BIT, writer.ret(BAD_ARCH));
      ranges.put(SKIPPED, writer.ret(byDefault));
    }
    const byNumber = writer.load(SECCOMP_DATA_NR, writeTree(writer, ranges.all, weightsOf(ranges.all, mine)));
    entry = writer.jump("jeq", audit, byNumber, entry);
  }
  return writer.finish(writer.load(SECCOMP_DATA_ARCH, entry));
}

/** Adds one architecture's numbers, from its lowest. x32's come after x86-64's, which coveredAbis sees to. */
function addRanges(
  writer: ProgramWriter,
  ranges: RangeList,
  { abi, calls, largest, listed }: AbiRules,
  byDefault: number,
  newer: number | undefined,
): void {
  const otherwise = writer.ret(byDefault);
  // What is newer is so before any rule: ipc of i386 may be above all that the profile names, and have some.
  const limit = newer !== undefined && listed && largest > 0 ? largest : Number.POSITIVE_INFINITY;
  let isBelow = true;
  const end = (): void => {
    isBelow = false;
    if (newer !== undefined && limit === largest) ranges.put(largest + 1, writer.ret(newer));
    if (abi.table === "arm") ranges.put(ARM_NR_BASE, otherwise);
  };
  let next = abi.table === "x32" ? X32_SYSCALL_BIT : 0;
  ranges.put(next, otherwise);
  for (const number of new Uint32Array([...calls.keys()]).sort()) {
    if (number > limit && !isPrivate(abi, number)) continue;
    if (number !== next) ranges.put(next, otherwise);
    if (isBelow && isPrivate(abi, number)) end();
    const rules = calls.get(number);
    ranges.put(number, rules === undefined ? otherwise : writeCall(writer, rules, otherwise));
    next = number + 1;
  }
  ranges.put(next, otherwise);
  if (isBelow) end();
}

/** What each range of numbers weighs in the tree: 1 for each call in it, more for those that programs live on. */
function weightsOf(ranges: readonly Range[], parts: readonly AbiRules[]): number[] {
  const weight = new Map<number, number>();
  for (const { abi } of parts) {
    for (const number of syscallNumbers(abi.table).values()) weight.set(number, 1);
    for (const number of frequentNumbers(abi)) weight.set(number, OFTEN);
  }
  const weights = ranges.map(() => 1);
  let at = 0;
  for (const number of new Uint32Array(weight.keys()).sort()) {
    while ((ranges[at + 1]?.from ?? 2 ** 32) <= number) at++;
    weights[at] = (weights[at] ?? 0) + (weight.get(number) ?? 0);
  }
  return weights;
}

function writeCall(writer: ProgramWriter, { always, rules }: CallRules, otherwise: Label): Label {
  return always === undefined ? writeRules(writer, rules, otherwise) : writer.ret(always.answer);
}
