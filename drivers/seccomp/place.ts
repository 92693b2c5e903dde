/** Where a rule stands in the document that a profile is from. */
import type { SeccompSource } from "../../src/driver.ts";
import type { ConditionalRule } from "./rules.ts";

/** `syscalls[3]` of the file for a rule of what was made from it. */
export function placeOf({ places }: SeccompSource, { field }: Pick<ConditionalRule, "field">): string {
  return places[Number(/\[(\d+)\]$/.exec(field)?.[1])] ?? field;
}
