/**
 * A run under a profile, call by call: the filter that asks about every call, the profile's own answer to each, and the
 * smallest profile that gives the run the same answers.
 * Not here: who asks and answers (src/runtime), which calls the run made.
 */
import type { Host, SeccompProgram, SeccompRecorder } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import {
  BPF_RET_K,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_DATA,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_LOG,
  SECCOMP_RET_USER_NOTIF,
  SOCK_FILTER_SIZE,
  X32_SYSCALL_BIT,
} from "../../src/kernel/seccomp.ts";
import { syscallNames, syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import type { LinuxSeccomp } from "../../src/spec/runtime/seccomp.ts";
import { type Abi, abisOf, nativeAbi } from "./abi.ts";
import { compile } from "./compile.ts";
import { interpret } from "./interpret.ts";
import { hiddenCall } from "./multiplexed.ts";
import { smallestProfile, type UsedCall } from "./smallest.ts";

/** See `SeccompWorkbench.record` of src/driver.ts. */
export function record(
  profile: LinuxSeccomp | undefined,
  arch: Host["arch"],
  kernel: Host["kernelVersion"],
): SeccompRecorder {
  const base = profile ?? everything(arch);
  const compiled = compile(base, arch, kernel);
  if (compiled.notify.length > 0) {
    throw fail({
      code: "UNSUPPORTED",
      field: "linux.seccomp",
      message: `cannot be recorded: it has an agent asked about ${compiled.notify.join(", ")}`,
      hint: "record under a profile without SCMP_ACT_NOTIFY",
    });
  }
  const used = new Map<string, { call: UsedCall; answers: Set<number> }>();
  const keep = (call: UsedCall, answer: number): void => {
    const key = `${call.abi.table} ${call.number} ${call.name}`;
    const known = used.get(key);
    if (known === undefined) used.set(key, { call, answers: new Set([answer]) });
    else known.answers.add(answer);
  };
  return {
    program: asking(compiled, kernel),
    answer({ number: signed, audit, args }) {
      const number = signed >>> 0;
      const answer = interpret(compiled.filter, { number, audit, args });
      const action = (answer & SECCOMP_RET_ACTION_FULL) >>> 0;
      const isRefused = action === SECCOMP_RET_ERRNO;
      const abi = abiOf(arch, number, audit);
      if (abi !== undefined) keep(usedCall(abi, number, args), answer);
      return isRefused ? { errno: answer & SECCOMP_RET_DATA } : "continue";
    },
    need(names) {
      const abi = nativeAbi(arch);
      for (const name of names) {
        const number = syscallNumbers(abi.table).get(name);
        if (number !== undefined) keep({ abi, number, name }, SECCOMP_RET_ALLOW);
      }
    },
    result: () =>
      smallestProfile(
        base,
        arch,
        [...used.values()].map(({ call, answers }) => ({ ...call, answers: [...answers] })),
      ),
  };
}

/** No profile at all, as one. */
function everything(arch: Host["arch"]): LinuxSeccomp {
  return { defaultAction: "SCMP_ACT_ALLOW", architectures: abisOf(arch).map(([name]) => name) };
}

/** The filter with a question in place of every answer that an agent can give as well. */
function asking({ filter, flags }: SeccompProgram, [major, minor]: Host["kernelVersion"]): SeccompProgram {
  const copy = filter.slice();
  const view = new DataView(copy.buffer);
  for (let at = 0; at < copy.byteLength; at += SOCK_FILTER_SIZE) {
    if (view.getUint16(at, true) !== BPF_RET_K) continue;
    const action = (view.getUint32(at + 4, true) & SECCOMP_RET_ACTION_FULL) >>> 0;
    if (action === SECCOMP_RET_ALLOW || action === SECCOMP_RET_LOG || action === SECCOMP_RET_ERRNO) {
      view.setUint32(at + 4, SECCOMP_RET_USER_NOTIF, true);
    }
  }
  // Otherwise a signal ends a call that waits for its answer, and programs see an EINTR that no call would give.
  const patient = major > 5 || (major === 5 && minor >= 19) ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0;
  // As with any listener (flags.ts).
  const kept = flags & ~SECCOMP_FILTER_FLAG_TSYNC;
  return {
    filter: copy,
    flags: kept | SECCOMP_FILTER_FLAG_NEW_LISTENER | patient,
    notify: ["every call"],
    unknown: [],
  };
}

function abiOf(arch: Host["arch"], number: number, audit: number): Abi | undefined {
  const hasBit = audit === nativeAbi("x86_64").audit && number >= X32_SYSCALL_BIT;
  return abisOf(arch).find(([, abi]) => abi.audit === audit && (abi.table === "x32") === hasBit)?.[1];
}

/** On i386 socketcall and ipc stand for the call that their first argument says. */
function usedCall(abi: Abi, number: number, args: readonly bigint[]): UsedCall {
  const name = syscallNames(abi.table).get(number);
  const hidden =
    abi.table === "i386" && name !== undefined
      ? hiddenCall(name, Number(BigInt.asUintN(32, args[0] ?? 0n)))
      : undefined;
  return { abi, number, name: hidden ?? name };
}
