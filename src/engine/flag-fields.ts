/**
 * Errors of the runtime in the words of the command line: they name fields of a config.json that the person never
 * wrote. Not here: what is wrong.
 */
import { CtrError, fail } from "../error.ts";
import type { MountRequest } from "./config/mount-flags.ts";

const FLAGS: readonly (readonly [RegExp, string])[] = [
  [/^linux\.resources\.memory\.swap$/, "--memory-swap"],
  [/^linux\.resources\.memory\b/, "--memory"],
  [/^linux\.resources\.cpu\b/, "--cpus"],
  [/^linux\.resources\.pids\b/, "--pids-limit"],
  [/^process\.cwd$/, "--workdir"],
  [/^process\.user\b/, "--user"],
  [/^process\.rlimits\b/, "--ulimit"],
];

/** What a mount in config.json was asked for with. */
export interface AskedMounts {
  readonly mounts: readonly { readonly destination: string }[];
  readonly requests: readonly Pick<MountRequest, "target" | "field">[];
}

/** The same error, naming the flag instead of the field where there is one. */
export function inFlags(error: unknown, asked?: AskedMounts): unknown {
  if (!(error instanceof CtrError) || error.field === undefined) return error;
  const field = flagOf(error.field, asked);
  if (field === undefined) return error;
  const { code, step, syscall, path, errno, exitCode } = error;
  const message = inWords(error.message);
  const hint = error.hint === undefined ? undefined : inWords(error.hint);
  return fail({ code, message, field, step, syscall, path, errno, hint, exitCode, cause: error });
}

/** Some texts name a field once more. */
function inWords(text: string): string {
  return text
    .replaceAll("process.cwd", "the working directory")
    .replaceAll("linux.resources.memory.limit", "--memory");
}

function flagOf(field: string, asked: AskedMounts | undefined): string | undefined {
  const index = /^mounts\[(\d+)\]/.exec(field)?.[1];
  if (index !== undefined) {
    const destination = asked?.mounts[Number(index)]?.destination;
    return asked?.requests.find(({ target }) => target === destination)?.field;
  }
  return FLAGS.find(([pattern]) => pattern.test(field))?.[1];
}
