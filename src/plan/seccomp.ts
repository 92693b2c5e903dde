/** Whether the init can still do its work under a filter that is loaded before the end. */
import type { SeccompProgram } from "../driver.ts";
import { fail } from "../error.ts";
import type { PlanInput } from "./input.ts";
import type { InitStep } from "./step.ts";

const SECCOMP_RET_ACTION = 0xffff0000;
const SECCOMP_RET_LOG = 0x7ffc0000;

/** Refuses a profile that forbids what the init has yet to do, naming the calls. */
export function checkSeccomp(
  input: Pick<PlanInput, "registry" | "host">,
  program: SeccompProgram,
  rest: readonly InitStep[],
): void {
  const driver = input.registry.choose("seccomp", input.host);
  const forbidden = new Set<string>();
  const asked = new Map<string, number>();
  for (const step of rest) {
    for (const { call } of step.rows) {
      if (call === "test" || call === "fail") continue;
      const verdict = asked.get(call) ?? driver.verdict(program, input.host.arch, call);
      asked.set(call, verdict);
      if ((verdict & SECCOMP_RET_ACTION) >>> 0 < SECCOMP_RET_LOG) forbidden.add(call);
    }
  }
  if (forbidden.size === 0) return;
  throw fail({
    code: "INVALID_CONFIG",
    field: "linux.seccomp",
    message: `the profile forbids what the container's init has yet to do: ${[...forbidden].join(", ")}`,
    hint: "set process.noNewPrivileges, so that the filter is loaded last, or allow these calls",
  });
}
