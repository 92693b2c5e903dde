/**
 * One layer into one prepared snapshot, whatever the snapshotter is.
 * Not here: the unpacking (unpack.ts) and the order in which layers are applied (pull).
 */
import type { Snapshotter } from "../../driver.ts";
import { type UnpackOptions, type UnpackResult, unpackLayer } from "./unpack.ts";

/** As {@link UnpackOptions}, with a prepared snapshot in place of a directory. */
export interface ApplyOptions extends Omit<UnpackOptions, "rootPath" | "whiteouts" | "lower"> {
  readonly snapshotter: Snapshotter;
  /** Key of an active snapshot: `snapshotter.prepare(key, parent)` was called. */
  readonly key: string;
}

/**
 * Unpacks a layer into an active snapshot: straight into its upper directory where the snapshotter has one, else
 * into its mounts, mounted for the time being. The caller commits, or removes the snapshot when this throws.
 */
export async function applyLayer(options: ApplyOptions): Promise<UnpackResult> {
  const rootPath = options.snapshotter.upper(options.key) ?? "";
  return await unpackLayer({ ...options, rootPath, whiteouts: "overlay" });
}
