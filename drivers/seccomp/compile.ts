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
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { coveredAbis } from "./abi.ts";
import { answerOf, BAD_ARCH, NO_SUCH_CALL } from "./answer.ts";
import { writeTest } from "./condition.ts";
import { filterFlags } from "./flags.ts";
import { type Label, type ProgramWriter, programWriter } from "./program.ts";
import { type AbiRules, type CallRules, isCall, isPrivate, rulesFor } from "./rules.ts";
import { type RangeList, rangeList, writeTree } from "./tree.ts";

/** -1: what a tracer writes over the number of a call that it wants left out (seccomp(2)). */
export const SKIPPED = 0xffff_ffff;

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
 * runc's rule: where the default refuses, calls newer than the profile get ENOSYS, so that programs fall back to
 * older ones. A tracer, or an agent, is expected to know what it does.
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
    // libseccomp's way: where x32 is not covered, its calls are calls of another architecture.
    const covers = (table: AbiRules["abi"]["table"]): boolean => mine.some(({ abi }) => abi.table === table);
    if (covers("x86_64") && !covers("x32")) ranges.put(X32_SYSCALL_BIT, writer.ret(BAD_ARCH));
    ranges.put(SKIPPED, writer.ret(byDefault));
    const byNumber = writer.load(SECCOMP_DATA_NR, writeTree(writer, ranges.all));
    entry = writer.jump("jeq", audit, byNumber, entry);
  }
  return writer.finish(writer.load(SECCOMP_DATA_ARCH, entry));
}

/** Adds one architecture's numbers, from its lowest. x32's come after x86-64's, which coveredAbis sees to. */
function addRanges(
  writer: ProgramWriter,
  ranges: RangeList,
  { abi, calls, largest }: AbiRules,
  byDefault: number,
  newer: number | undefined,
): void {
  const otherwise = writer.ret(byDefault);
  let isBelow = true;
  const end = (): void => {
    isBelow = false;
    if (newer !== undefined && largest > 0) ranges.put(largest + 1, writer.ret(newer));
    if (abi.table === "arm") ranges.put(ARM_NR_BASE, otherwise);
  };
  let next = abi.table === "x32" ? X32_SYSCALL_BIT : 0;
  ranges.put(next, otherwise);
  for (const number of new Uint32Array([...calls.keys()]).sort()) {
    if (number !== next) ranges.put(next, otherwise);
    if (isBelow && isPrivate(abi, number)) end();
    const rules = calls.get(number);
    ranges.put(number, rules === undefined ? otherwise : writeCall(writer, rules, otherwise));
    next = number + 1;
  }
  ranges.put(next, otherwise);
  if (isBelow) end();
}

function writeCall(writer: ProgramWriter, { always, rules }: CallRules, otherwise: Label): Label {
  if (always !== undefined) return writer.ret(always.answer);
  let next = otherwise;
  for (const { tests, answer } of rules.toReversed()) {
    const fails = next;
    let holds = writer.ret(answer);
    for (const test of tests.toReversed()) holds = writeTest(writer, test, holds, fails);
    next = holds;
  }
  return next;
}
