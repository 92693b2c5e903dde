/**
 * Digests: the names of contents (image-spec descriptor.md, "Digests"). Not here: computing one (image).
 */
import * as v from "valibot";
import { fail } from "../../error.ts";

/** Number of lower-case hex digits of every algorithm that we can verify. */
const verifiable = { sha256: 64, sha512: 128 } as const;

/** An algorithm whose digests we verify, and so may use as file names of a store. */
export type DigestAlgorithm = keyof typeof verifiable;

const grammar = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)$/;

/**
 * What is wrong with a digest, or nothing. An algorithm that we do not know is not wrong: documents may
 * carry them (spec: SHOULD), but {@link parseDigest} refuses to work with them.
 */
function digestFault(text: string): string | undefined {
  const [, algorithm, encoded] = grammar.exec(text) ?? [];
  if (algorithm === undefined || encoded === undefined) return 'must be a digest, "algorithm:encoded"';
  if (!isVerifiable(algorithm)) return undefined;
  const length = verifiable[algorithm];
  if (encoded.length === length && /^[a-f0-9]+$/.test(encoded)) return undefined;
  return `must have ${length} lower-case hex digits after "${algorithm}:"`;
}

function isVerifiable(algorithm: string): algorithm is DigestAlgorithm {
  return Object.hasOwn(verifiable, algorithm);
}

/** A digest by the grammar; sha256 and sha512 in their one exact form. A string of type `string`. */
export const Digest = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? digestFault(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);
export type Digest = v.InferOutput<typeof Digest>;

/** A digest taken apart: both parts are safe as file names. */
export interface ParsedDigest {
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hex. */
  readonly encoded: string;
}

/**
 * Takes a digest apart for verifying, or for use as a path (`blobs/sha256/<encoded>`).
 * @throws CtrError INVALID_DIGEST for a malformed one and for any algorithm but sha256 and sha512.
 */
export function parseDigest(text: string): ParsedDigest {
  const fault = digestFault(text);
  if (fault !== undefined) throw invalid(`${fault}, got ${JSON.stringify(text.slice(0, 160))}`);
  const [algorithm = "", encoded = ""] = text.split(":");
  if (!isVerifiable(algorithm)) {
    throw invalid(`digest algorithm ${algorithm} is not supported: only sha256 and sha512 are`);
  }
  return { algorithm, encoded };
}

function invalid(message: string) {
  return fail({ code: "INVALID_DIGEST", field: "digest", message });
}
