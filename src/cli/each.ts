/**
 * Verbs that take many names: one failure is told and does not keep the others from being done, as in Docker.
 */

import { asCtrError } from "../error.ts";
import { print } from "../kernel/output.ts";
import type { VerbContext } from "./command.ts";
import { reportError } from "./report.ts";

/** Calls `work` for each and prints what it returns. @returns the exit code: 1 if any failed. */
export async function forEach(
  names: readonly string[],
  context: Pick<VerbContext, "report">,
  work: (name: string) => Promise<string | undefined>,
): Promise<number> {
  let code = 0;
  for (const name of names) {
    try {
      const line = await work(name);
      if (line !== undefined) print(`${line}\n`);
    } catch (thrown) {
      code = 1;
      await reportError(asCtrError(thrown), context.report);
    }
  }
  return code;
}
