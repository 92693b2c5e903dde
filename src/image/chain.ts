/**
 * Chain IDs: the names of layers applied one on another (image-spec config.md, "Layer ChainID"). Not here: snapshots.
 */
import { digestOf } from "./store/blobs.ts";

/** Chain ID of every layer, from the diff IDs, lowest first. */
export function chainIDsOf(diffIDs: readonly string[]): string[] {
  const chainIDs: string[] = [];
  const encoder = new TextEncoder();
  for (const diffID of diffIDs) {
    const parent = chainIDs.at(-1);
    chainIDs.push(parent === undefined ? diffID : digestOf(encoder.encode(`${parent} ${diffID}`)));
  }
  return chainIDs;
}
