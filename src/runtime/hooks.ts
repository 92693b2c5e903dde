/** Runs hooks in the runtime namespace: state JSON on stdin, their own time-outs (runtime-spec config.md, "Hooks"). */
import { asCtrError, type CtrError, fail } from "../error.ts";
import { SIGNALS } from "../kernel/signal.ts";
import { readAnnotations } from "../plan/annotations.ts";
import { OCI_VERSION } from "../spec/oci-version.ts";
import type { Hook } from "../spec/runtime/config.ts";
import type { Status } from "../spec/runtime/state.ts";
import { type HookEnding, runHookProcess } from "./hook-process.ts";

/** The state that hooks get. */
export interface HookState {
  readonly id: string;
  readonly status: Status;
  readonly pid: number;
  readonly bundle: string;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** Runs all of them, whatever happens to one, and returns the errors (runtime.md, "Lifecycle", step 13). */
export function runHooksToTheEnd(name: string, hooks: readonly Hook[], state: HookState): CtrError[] {
  return hooks.flatMap((hook, index) => {
    try {
      runHook(`hooks.${name}[${index}]`, hook, state);
      return [];
    } catch (error) {
      return [asCtrError(error)];
    }
  });
}

/** Runs them in order. A hook that fails is an error that carries the end of what it wrote to stderr. */
export function runHooks(name: string, hooks: readonly Hook[], state: HookState): void {
  hooks.forEach((hook, index) => {
    runHook(`hooks.${name}[${index}]`, hook, state);
  });
}

function runHook(field: string, hook: Hook, state: HookState): void {
  const input = new TextEncoder().encode(JSON.stringify({ ociVersion: OCI_VERSION, ...state }));
  const env = Object.fromEntries((hook.env ?? []).map((entry) => splitEnv(entry)));
  let result: HookEnding;
  try {
    const { path, args, timeout } = hook;
    const argv = args === undefined || args.length === 0 ? [path] : args;
    const { hooksStdout: stdout, hooksStderr: stderr } = readAnnotations({ annotations: state.annotations });
    result = runHookProcess({ path, argv, env, cwd: state.bundle, input, timeout, stdout, stderr });
  } catch (cause) {
    const message = `cannot run the hook: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw fail({ code: "HOOK", field: `${field}.path`, message, path: hook.path, cause });
  }
  if (result.ending?.code === 0 && !result.timedOut) return;
  throw hookFailure(field, hook, result);
}

/** The error of a hook that ended otherwise than it should, with the end of what it said. */
export function hookFailure(
  field: string,
  { path, timeout }: Pick<Hook, "path" | "timeout">,
  { ending, timedOut, said }: HookEnding,
): CtrError {
  const text = said.trim().slice(-400);
  const how = timedOut
    ? `timed out after ${timeout} s`
    : ending?.signal === undefined
      ? `ended with ${ending?.code ?? "an unknown status"}`
      : `was killed by SIG${SIGNALS[ending.signal] ?? ending.signal}`;
  return fail({ code: "HOOK", field, message: `the hook ${how}${text === "" ? "" : `: ${text}`}`, path });
}

function splitEnv(entry: string): [string, string] {
  const equals = entry.indexOf("=");
  return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
}
