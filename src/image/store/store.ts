/**
 * The store as the other rooms see it: images' blobs and names below one directory. Several processes work on one
 * store at the same time. Not here: how each part is kept (layout.ts, ingest.ts, lease.ts, database.ts).
 */
import type { Database } from "bun:sqlite";
import { fail } from "../../error.ts";
import type { Descriptor } from "../../spec/image/descriptor.ts";

/** Keeps blobs and snapshots from garbage collection while it is held; a dead process holds none. */
export interface Lease {
  /** Safe in a snapshot key: 32 hex digits. */
  readonly id: string;
  /** Adds digests of blobs and chain IDs. Before looking whether they are there. */
  hold(keys: readonly string[]): Promise<void>;
  release(): void;
}

/** One entry of the layout's index.json: a manifest that is in the store, with or without a name. */
export interface ImageEntry {
  readonly manifest: Descriptor;
  /** Canonical name, `docker.io/library/debian:12`; undefined when another image has taken it. */
  readonly name: string | undefined;
  /** Where it came from: registry and repository, and the digest there (an index's, or the manifest's). */
  readonly repository: string | undefined;
  readonly source: string | undefined;
  /** RFC 3339. */
  readonly pulledAt: string | undefined;
}

/** An open store. */
export interface Store {
  readonly root: string;
  /** Whether a blob is there, by name and size. Its content was checked when it came. */
  hasBlob(descriptor: Pick<Descriptor, "digest" | "size">): boolean;
  /** Host path of a blob, there or not. */
  blobPath(digest: string): string;
  /** A small blob whole, checked against digest and size again. @throws CtrError NOT_FOUND, DAMAGED */
  readBlob(descriptor: Pick<Descriptor, "digest" | "size">): Uint8Array;
  /** Adds a small blob; its digest is computed and returned. */
  addBlob(bytes: Uint8Array, digest?: string): string;
  /** All images, from index.json. */
  entries(): ImageEntry[];
  /** Changes the list of images under the store's lock, atomically. The change must not wait for anything. */
  update(change: (entries: ImageEntry[]) => ImageEntry[]): void;
  lease(): Lease;
  /** The store's database, opened on first use: derived facts only, all of which can be made again. */
  database(): Database;
  close(): void;
}

/** Opens the store in a directory, which is made (0700) when something is first written to it. */
export function openStore(root: string): Store {
  throw fail({ code: "INTERNAL", message: `not there yet: ${root}` });
}
