/**
 * The filter of a plan, and what the init can still do under it where it is loaded before the end. Not here: loading it
 * (seccomp-load.ts).
 */
import type { SeccompProgram } from "../driver.ts";
import { fail } from "../error.ts";
import { SECCOMP_RET_ACTION_FULL, SECCOMP_RET_LOG, SECCOMP_RET_USER_NOTIF } from "../kernel/seccomp.ts";
import type { PlanInput } from "./input.ts";
import type { InitStep } from "./step.ts";

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

/** Calls of these steps that the filter does not simply let through, and what it answers to each. */
function heldCalls(
  input: Pick<PlanInput, "registry" | "host">,
  program: SeccompProgram,
  steps: readonly InitStep[],
): Map<string, number> {
  const driver = input.registry.choose("seccomp", input.host);
  const held = new Map<string, number>();
  const asked = new Set<string>();
  for (const step of steps) {
    for (const { call } of step.rows) {
      if (call === "test" || call === "fail" || asked.has(call)) continue;
      asked.add(call);
      const action = driver.verdict(program, input.host.arch, call) & SECCOMP_RET_ACTION_FULL;
      // Actions are compared with their sign, as the kernel does: KILL_PROCESS is the least of all.
      if (action < SECCOMP_RET_LOG) held.set(call, action);
    }
  }
  return held;
}

/** Whether the filter lets all calls of these steps through without asking anybody. */
export function letsThrough(
  input: Pick<PlanInput, "registry" | "host">,
  program: SeccompProgram,
  steps: readonly InitStep[],
): boolean {
  return heldCalls(input, program, steps).size === 0;
}

/** Refuses a profile that forbids what the init has yet to do, naming the calls. */
export function checkSeccomp(
  input: Pick<PlanInput, "registry" | "host">,
  program: SeccompProgram,
  rest: readonly InitStep[],
  hint = "set process.noNewPrivileges, so that the filter is loaded last, or allow these calls",
): void {
  // What an agent is asked about it may allow: it has the listener before the init makes a call.
  const forbidden = [...heldCalls(input, program, rest)]
    .filter(([, action]) => action !== SECCOMP_RET_USER_NOTIF)
    .map(([call]) => call);
  if (forbidden.length === 0) return;
  throw fail({
    code: "INVALID_CONFIG",
    field: "linux.seccomp",
    message: `the profile forbids what the container's init has yet to do: ${forbidden.join(", ")}`,
    hint,
  });
}
