/**
 * The one error class of ctr-bun, and the only place where errors are made and worded.
 * What lives here: the class, its constructor function, and its one-line form. Not here: who prints it (cli).
 */

/** Everything that an error can say. Only what is known is given. */
export interface ErrorDetails {
  /** Stable, upper-case word for programs: `INVALID_CONFIG`, `NOT_FOUND`, `SYSCALL`, `REGISTRY`, ... */
  readonly code: string;
  /** What went wrong, one line, lower case, no full stop. */
  readonly message: string;
  /** Where in the input: `mounts[3].options`, `--memory`, `/etc/ctr-bun/config.toml:7`. */
  readonly field?: string | undefined;
  /** What was being done: `mount proc at /proc`. */
  readonly step?: string | undefined;
  /** Name of the call that failed, as the man pages spell it. */
  readonly syscall?: string | undefined;
  readonly path?: string | undefined;
  /** Name of the errno: `ENOENT`. */
  readonly errno?: string | undefined;
  /** The way out, one line. */
  readonly hint?: string | undefined;
  /** Exit code that the command line should end with, where it is not 1. */
  readonly exitCode?: number | undefined;
  readonly cause?: unknown;
}

/** An error that a person can act on. Made with {@link fail}. */
export class CtrError extends Error {
  override readonly name = "CtrError";
  readonly code: string;
  readonly field: string | undefined;
  readonly step: string | undefined;
  readonly syscall: string | undefined;
  readonly path: string | undefined;
  readonly errno: string | undefined;
  readonly hint: string | undefined;
  readonly exitCode: number | undefined;

  constructor(details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.field = details.field;
    this.step = details.step;
    this.syscall = details.syscall;
    this.path = details.path;
    this.errno = details.errno;
    this.hint = details.hint;
    this.exitCode = details.exitCode;
  }
}

/** Makes the error to throw: `throw fail({ code: "NOT_FOUND", message: "..." })`. */
export function fail(details: ErrorDetails): CtrError {
  return new CtrError(details);
}

/** Whatever was thrown, as a {@link CtrError}: a foreign error keeps its message and becomes the cause. */
export function asCtrError(thrown: unknown): CtrError {
  if (thrown instanceof CtrError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return fail({ code: "INTERNAL", message, cause: thrown });
}

/** The one line that a person reads: `field: message (call path: ERRNO)`, without the hint. */
export function errorLine(error: CtrError): string {
  const where = error.field === undefined ? "" : `${error.field}: `;
  const call = [error.syscall, error.path].filter((part) => part !== undefined).join(" ");
  const tail = [call, error.errno].filter((part) => part !== undefined && part !== "").join(": ");
  return `${where}${error.message}${tail === "" ? "" : ` (${tail})`}`;
}

/** All that is known, for `--log-format json`. */
export function errorFields(error: CtrError): Record<string, string | number> {
  const { code, field, step, syscall, path, errno, hint } = error;
  const all = { code, field, step, syscall, path, errno, hint };
  const known: Record<string, string | number> = { message: error.message };
  for (const [key, value] of Object.entries(all)) if (value !== undefined) known[key] = value;
  return known;
}
