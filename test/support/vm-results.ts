// What a script said in a virtual machine, by the names that it gave to its results. Not here: booting one (scripts/vm).

import type { VmRun } from "../../scripts/vm/run.ts";

/** Readers of a run's results. */
export interface VmResults {
  /** `exit code 0: ` and the output, its lines joined by "|"; "no result" where the script came to none. */
  text(name: string): string;
  /** The output's lines. */
  lines(name: string): string[];
}

/** Of the run that `vm` gives once it is over. */
export function resultsOf(vm: () => VmRun): VmResults {
  const text = (name: string): string => vm().results.get(name)?.text ?? "no result";
  return {
    text,
    lines: (name) =>
      text(name)
        .replace(/^exit code \d+: /, "")
        .split("|"),
  };
}
