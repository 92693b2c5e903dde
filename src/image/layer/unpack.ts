/**
 * One layer into one directory: stream in, files out, digest checked.
 * What lives here: the run over a layer from first byte to last. Not here: fetching it (registry), naming the
 * directory (a snapshotter), decompressing and reading tar (beside this file).
 */
import { fail } from "../../error.ts";

/** Bounds that an image must keep to; what is left out has a default (limits.ts). */
export interface LayerLimits {
  /** Entries in the archive, whiteouts and links included. */
  readonly entries: number;
  /** Bytes of the uncompressed stream. */
  readonly bytes: number;
  /** Largest size that one file may have, holes included. */
  readonly fileSize: number;
  /** Uncompressed bytes to one compressed byte, looked at once 1 GiB has come out. */
  readonly ratio: number;
}

/** How far an unpacking is. */
export interface UnpackProgress {
  /** Uncompressed bytes so far. */
  readonly bytes: number;
  readonly entries: number;
}

/** What {@link unpackLayer} needs. */
export interface UnpackOptions {
  /** The layer's blob, as the registry gave it (compressed or not). */
  readonly source: AsyncIterable<Uint8Array>;
  readonly mediaType: string;
  /** Absolute path of the directory to unpack into. For `overlay` it must be empty: it is the layer's own. */
  readonly rootPath: string;
  /**
   * `overlay`: rootPath is an upper directory; removals are written as overlayfs reads them.
   * `remove`: rootPath is a whole tree that the layer is applied to; what it removes is removed.
   */
  readonly whiteouts: "overlay" | "remove";
  /**
   * With `overlay`: directories of the layers below, topmost first. They are asked for only if the layer needs
   * them (a path whose parents it does not bring itself, a hard link to a file of a lower layer), so that layers
   * can be unpacked side by side: the function waits until the layers below are done.
   */
  readonly lower?: readonly string[] | (() => Promise<readonly string[]>);
  /** Digest that the uncompressed stream must have. */
  readonly diffID?: string | undefined;
  readonly limits?: Partial<LayerLimits>;
  readonly onProgress?: (progress: UnpackProgress) => void;
}

/** What was unpacked. */
export interface UnpackResult {
  /** sha256 of the uncompressed stream (of the algorithm of the given diffID, if one was given). */
  readonly diffID: string;
  /** Bytes of the uncompressed stream. */
  readonly size: number;
  readonly entries: number;
}

/**
 * Unpacks one layer. On any error nothing is kept in an overlay directory; a tree that a layer was being applied to
 * (`remove`) is left half done, for the caller to throw away.
 */
export async function unpackLayer(options: UnpackOptions): Promise<UnpackResult> {
  throw fail({ code: "UNSUPPORTED", message: `cannot unpack ${options.mediaType} yet` });
}
