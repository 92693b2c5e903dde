/**
 * `hooks` of config.json: programs to run at six points of a container's life (config.md, "POSIX-platform
 * Hooks"). Not here: running them.
 */
import * as v from "valibot";
import { lazy, object, optional } from "../builders.ts";
import { AbsolutePath, integer, TextList } from "../scalars.ts";

/** One program. `timeout` is in seconds. */
export const Hook = lazy(() =>
  object({
    path: AbsolutePath,
    args: optional(TextList),
    env: optional(TextList),
    timeout: optional(integer(1, 2147483647)),
  }),
);
export type Hook = v.InferOutput<typeof Hook>;

/** All six kinds, in the order in which they come due. `prestart` is deprecated, and still used. */
export const HOOK_NAMES = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const satisfies readonly (keyof Hooks)[];

export const Hooks = lazy(() => {
  const list = optional(v.array(Hook));
  return object({
    prestart: list,
    createRuntime: list,
    createContainer: list,
    startContainer: list,
    poststart: list,
    poststop: list,
  });
});
export type Hooks = v.InferOutput<typeof Hooks>;
