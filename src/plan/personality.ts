/** `linux.personality`: the execution domain, which uname(2) shows and every program inherits. Pure. */
import { PERSONALITIES } from "../kernel/constants.ts";
import type { Linux } from "../spec/runtime/config.ts";
import { row } from "./rows.ts";
import type { InitStep } from "./step.ts";

/** The step, where one is asked for. The specification has no flags yet: they are ignored with a warning, as in runc. */
export function personalitySteps(linux: Linux | undefined, warnings: string[]): InitStep[] {
  const personality = linux?.personality;
  if (personality === undefined) return [];
  const { domain, flags = [] } = personality;
  if (flags.length > 0) {
    warnings.push(`linux.personality.flags: no flag is supported, ignored: ${flags.join(", ")}`);
  }
  return [
    {
      on: "init",
      field: "linux.personality",
      about: `run as ${domain}`,
      rows: [row("personality", [PERSONALITIES[domain]])],
      hints: { EINVAL: "this machine cannot run programs of 32 bits" },
    },
  ];
}
