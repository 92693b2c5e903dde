/**
 * Garbage collection: frees blobs and snapshots that no image, lease or container needs. Safe beside running pulls.
 * Not here: which images there are (images.ts).
 */
import type { Snapshotter } from "../driver.ts";
import { fail } from "../error.ts";
import type { Store } from "./store/store.ts";

/** What was freed. */
export interface Freed {
  readonly blobs: readonly string[];
  readonly snapshots: readonly string[];
  /** Bytes of both. */
  readonly bytes: number;
}

/**
 * Removes what nothing needs. Snapshots with others on top (containers' too) stay by the snapshotter's contract.
 * @param keep further blobs and chain IDs in use.
 */
export async function collectGarbage(
  store: Store,
  snapshotter: Snapshotter,
  keep: readonly string[] = [],
): Promise<Freed> {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root} ${snapshotter.name} ${keep}` });
}
