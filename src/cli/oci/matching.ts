/** crun's --regex: a verb for every container whose ID matches. */
import { fail } from "../../error.ts";
import { listIDs } from "../../runtime/state.ts";

export const REGEX_ARG = {
  regex: {
    type: "boolean",
    alias: "r",
    description: "ID is a regular expression: every container that matches",
  },
} as const;

/** Calls `act` for the ID, or for all that match; those after one that fails too, and its error is thrown at the end. */
export async function forMatching(
  root: string,
  id: string,
  isRegex: boolean,
  act: (id: string) => void | Promise<void>,
): Promise<void> {
  if (!isRegex) return await act(id);
  const pattern = compile(id);
  const errors: unknown[] = [];
  for (const each of listIDs(root)) {
    if (!pattern.test(each)) continue;
    try {
      await act(each);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

function compile(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    const message = `not a regular expression: ${JSON.stringify(text)}`;
    throw fail({ code: "USAGE", field: "--regex", message, cause });
  }
}
