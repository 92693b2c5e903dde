/**
 * The single values of OCI documents: text, paths, integers of the widths that Go and the kernel give them.
 * Not here: objects and lists (builders.ts), or values that only images have (image/).
 */
import * as v from "valibot";
import { lazy, map } from "./builders.ts";

/** Any string, NUL bytes included: for what never reaches the kernel, like annotations. */
export const PlainText = v.string();

/** A string that may be handed to the kernel: a NUL byte would cut it short there, so it is refused. */
export const Text = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\0"), "must not contain a NUL byte"),
);

/** {@link Text} with at least one character. */
export const FilledText = v.pipe(Text, v.minLength(1, "must not be empty"));

/** A path that starts with `/`. Not cleaned: `..` is for whoever resolves it to judge. */
export const AbsolutePath = v.pipe(
  Text,
  v.check((path) => path.startsWith("/"), "must be an absolute path"),
);

export const Flag = v.boolean();

export const TextList = v.array(Text);

/** `map[string]string` of the specs: annotations, labels. */
export const TextMap = lazy(() => map(PlainText));

/** int32 of the specs. */
export const Int32 = integer(-2147483648, 2147483647);
/** uint16 of the specs. */
export const Uint16 = integer(0, 65535);
/** uint32 of the specs. */
export const Uint32 = integer(0, 4294967295);
/**
 * User or group ID. 4294967295 is `(uid_t) -1`, which the kernel reads as "leave it as it is", and anything
 * above wraps around, possibly to 0: both are refused rather than passed on.
 */
export const UserId = integer(0, 4294967294);

/**
 * int64 of the specs, exact: a `bigint` where a double could not hold it (see json.ts), else a `number`.
 * Device numbers, limits in bytes (-1: none), offsets in seconds.
 */
export const Int64 = wideInteger(-9223372036854775808n, 9223372036854775807n);

/** uint64 of the specs, exact: a `bigint` where a double could not hold it, else a `number`. */
export const Uint64 = wideInteger(0n, 18446744073709551615n);

/** Number of bytes of something that is held or sent: 0 to 2^53 - 1. */
export const ByteSize = integer(0, Number.MAX_SAFE_INTEGER);

/** An integer in a range that a double holds exactly, both ends included. */
export function integer(
  least: number,
  most: number,
): v.CustomSchema<number, v.ErrorMessage<v.CustomIssue> | undefined> {
  return v.custom<number>(
    (value) => typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most,
    () => `integer from ${least} to ${most}`,
  );
}

function wideInteger(
  least: bigint,
  most: bigint,
): v.CustomSchema<number | bigint, v.ErrorMessage<v.CustomIssue> | undefined> {
  return v.custom<number | bigint>(
    (value) =>
      (typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))) &&
      value >= least &&
      value <= most,
    () => `integer from ${least} to ${most}`,
  );
}

/** One of a fixed set of strings. Like `v.picklist`, which words its error at once: too dear when it is never read. */
export function oneOf<const T extends readonly string[]>(...options: T): OneOf<T[number]> {
  const schema = v.custom<T[number]>(
    (value) => options.includes(value as string),
    () => `one of ${options.map((option) => JSON.stringify(option)).join(", ")}`,
  );
  return Object.assign(schema, { options });
}

/** A schema made by {@link oneOf}; `options` are the strings it accepts. */
export interface OneOf<T extends string>
  extends v.CustomSchema<T, v.ErrorMessage<v.CustomIssue> | undefined> {
  readonly options: readonly T[];
}

/** Whether a text has only characters of `allowed`: a regular expression would cost more to compile. */
export function consistsOf(text: string, allowed: string): boolean {
  for (let at = 0; at < text.length; at++) if (!allowed.includes(text.charAt(at))) return false;
  return true;
}
