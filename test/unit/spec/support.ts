// What the tests of src/spec share: fixtures as text, a change at a path, and the error that a call throws.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CtrError } from "../../../src/error.ts";
import { readJson } from "../../../src/spec/json.ts";

/** Text of a file of spec-fixtures. */
export function fixture(name: string): string {
  return readFileSync(join(import.meta.dir, "../../../spec-fixtures", name), "utf8");
}

/** Value of a file of spec-fixtures, integers exact. */
export function fixtureValue(name: string): unknown {
  return readJson(fixture(name));
}

/** Keys of a path such as `mounts[0].options`. */
export function keysOf(path: string): (string | number)[] {
  return [...path.matchAll(/([\w-]+)|\[(\d+)\]/g)].map(([, name, index]) => name ?? Number(index));
}

/** Sets what is at `path` of `document`, or removes it where `value` is undefined. */
export function change(document: unknown, path: readonly (string | number)[], value: unknown): void {
  const last = path.at(-1);
  if (last === undefined) throw new Error("no path");
  let at = document as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
}

/** The CtrError that `call` throws; anything else that it does is a failure of the test. */
export function refusal(call: () => unknown): CtrError {
  let value: unknown;
  try {
    value = call();
  } catch (thrown) {
    if (thrown instanceof CtrError) return thrown;
    throw new Error(`threw something else than a CtrError: ${thrown}`, { cause: thrown });
  }
  throw new Error(`was accepted: ${Bun.inspect(value)}`);
}
