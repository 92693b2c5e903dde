/** What the init can still do under a filter that is loaded before the end, and what no filter may ask for yet. */
import type { SeccompProgram } from "../driver.ts";
import { fail } from "../error.ts";
import type { PlanInput } from "./input.ts";
import type { InitStep } from "./step.ts";

const SECCOMP_RET_ACTION = 0xffff0000;
const SECCOMP_RET_LOG = 0x7ffc0000;

/** Refuses a profile that wants an agent to be asked: nobody would hold the listener, and each such call be ENOSYS. */
export function refuseNotify({ notify }: Pick<SeccompProgram, "notify">): void {
  if (notify.length === 0) return;
  throw fail({
    code: "UNSUPPORTED",
    field: "linux.seccomp",
    message: `SCMP_ACT_NOTIFY is not supported yet: ${notify.join(", ")}`,
    hint: "give these calls another action",
  });
}

/** Refuses a profile that names calls which no architecture of it has (run.oci.seccomp_fail_unknown_syscall). */
export function refuseUnknown({ unknown }: Pick<SeccompProgram, "unknown">): void {
  if (unknown.length === 0) return;
  throw fail({
    code: "INVALID_CONFIG",
    field: "linux.seccomp.syscalls",
    message: `unknown system calls: ${unknown.join(", ")}`,
    hint: 'leave them out, or the annotation "run.oci.seccomp_fail_unknown_syscall"',
  });
}

/** Calls of these steps that the filter forbids. */
export function forbiddenCalls(
  input: Pick<PlanInput, "registry" | "host">,
  program: SeccompProgram,
  steps: readonly InitStep[],
): string[] {
  const driver = input.registry.choose("seccomp", input.host);
  const forbidden = new Set<string>();
  const asked = new Map<string, number>();
  for (const step of steps) {
    for (const { call } of step.rows) {
      if (call === "test" || call === "fail") continue;
      const verdict = asked.get(call) ?? driver.verdict(program, input.host.arch, call);
      asked.set(call, verdict);
      // Actions are compared with their sign, as the kernel does: KILL_PROCESS is the least of all.
      if ((verdict & SECCOMP_RET_ACTION) < SECCOMP_RET_LOG) forbidden.add(call);
    }
  }
  return [...forbidden];
}

/** Refuses a profile that forbids what the init has yet to do, naming the calls. */
export function checkSeccomp(
  input: Pick<PlanInput, "registry" | "host">,
  program: SeccompProgram,
  rest: readonly InitStep[],
  hint = "set process.noNewPrivileges, so that the filter is loaded last, or allow these calls",
): void {
  const forbidden = forbiddenCalls(input, program, rest);
  if (forbidden.length === 0) return;
  throw fail({
    code: "INVALID_CONFIG",
    field: "linux.seccomp",
    message: `the profile forbids what the container's init has yet to do: ${forbidden.join(", ")}`,
    hint,
  });
}
