/**
 * Bounds of a layer, and the errors of layers that pass them or are broken (rule: an image is hostile input).
 * Not here: where each bound is looked at.
 */
import { type CtrError, fail } from "../../error.ts";
import { shownName } from "../../kernel/directory.ts";

/** Bounds that a layer must keep to. */
export interface LayerLimits {
  /** Entries in the archive, whiteouts and links included. */
  readonly entries: number;
  /** Bytes of the uncompressed stream. */
  readonly bytes: number;
  /** Largest size that one file may have, holes included. */
  readonly fileSize: number;
  /** Uncompressed bytes to one compressed byte, looked at once {@link RATIO_FROM} bytes have come out. */
  readonly ratio: number;
}

/** Real layers stay far below: the largest known have a few hundred thousand entries and some tens of GB. */
export const DEFAULT_LIMITS: LayerLimits = {
  entries: 1_000_000,
  bytes: 128 * 2 ** 30,
  fileSize: 2 ** 40,
  ratio: 500,
};

/** Where the ratio begins to count: small layers of zeros are no danger. */
export const RATIO_FROM = 2 ** 30;

/** Longest path in a layer, as the kernel's own (PATH_MAX with the NUL). */
export const PATH_LIMIT = 4095;
/** Largest PAX header, GNU long name, or sparse map. */
export const META_LIMIT = 1 << 20;
/** Most pieces that a sparse file may have. */
export const SPARSE_LIMIT = 65_536;

/** A layer that is malformed, or asks for what no layer may. `name` is the entry's, as a byte string. */
export function invalidLayer(message: string, name?: string): CtrError {
  const where = name === undefined ? "" : `entry ${shownName(name)}: `;
  return fail({ code: "INVALID_LAYER", message: `invalid layer: ${where}${message}` });
}

/** A layer that passes a bound. */
export function overLimit(message: string, name?: string): CtrError {
  const where = name === undefined ? "" : `entry ${shownName(name)}: `;
  return fail({
    code: "LAYER_LIMIT",
    message: `layer refused: ${where}${message}`,
    hint: "an image that needs this much is unusual: make sure that you trust where it is from",
  });
}
