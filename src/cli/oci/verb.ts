/** The shape of a verb of the OCI level: its arguments, and what it does with them. */
import type { Defs, Values } from "../argv.ts";
import type { OciContext } from "./context.ts";

export interface OciVerb<T extends Defs> {
  readonly name: string;
  readonly about: string;
  readonly args: T;
  /** Everything from the first word that is no flag on belongs to the positionals (exec). */
  readonly stopAtPositional?: boolean;
  /** Exit code of its errors that have none of their own, once its flags are read; 1. */
  readonly errorCode?: number;
  /** Returns the exit code. */
  run(values: Values<T>, context: OciContext): Promise<number>;
}

/** Keeps the types of a verb's arguments. */
export function defineVerb<const T extends Defs>(verb: OciVerb<T>): OciVerb<T> {
  return verb;
}
