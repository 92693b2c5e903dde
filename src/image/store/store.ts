/**
 * The store as the other rooms see it: images' blobs and names below one directory. Several processes work on one
 * store at the same time. Not here: how each part is kept (layout.ts, blobs.ts, ingest.ts, lease.ts, database.ts).
 */
import type { Database } from "bun:sqlite";
import { addBlob, type BlobName, checkBytes, digestOf, hasBlob, readBlob } from "./blobs.ts";
import { type ImageEntry, openLayout } from "./layout.ts";
import { createLease, type Lease } from "./lease.ts";
import { makeDirectories, type StorePaths, storePaths } from "./paths.ts";

export type { BlobName } from "./blobs.ts";
export type { ImageEntry } from "./layout.ts";
export type { Lease } from "./lease.ts";

/** An open store. */
export interface Store {
  readonly root: string;
  readonly paths: StorePaths;
  /** Whether a blob is there, by name and size. Its content was checked when it came. */
  hasBlob(name: BlobName): boolean;
  /** A small blob whole, checked against digest and size again. @throws CtrError NOT_FOUND, DAMAGED */
  readBlob(name: BlobName): Uint8Array;
  /** Adds a small blob and returns its digest. @throws CtrError INVALID_IMAGE if it is not the one given. */
  addBlob(bytes: Uint8Array, digest?: string): string;
  /** All images, from index.json. */
  entries(): ImageEntry[];
  /** Changes the list of images under the store's lock, atomically. The change must not wait for anything. */
  update(change: (entries: ImageEntry[]) => ImageEntry[]): void;
  lease(): Lease;
  /** The store's database, opened on first use: derived facts only, all of which can be made again. */
  database(): Database;
  /** Makes the store's directories; done before anything is written. */
  prepare(): void;
  close(): void;
}

/** Opens the store in a directory, which is made (0700) when something is first written to it. */
export function openStore(root: string): Store {
  const paths = storePaths(root);
  let isPrepared = false;
  let database: Database | undefined;
  const prepare = () => {
    if (!isPrepared) makeDirectories(paths);
    isPrepared = true;
  };
  const layout = openLayout(paths, prepare);
  return {
    root,
    paths,
    prepare,
    hasBlob: (name) => hasBlob(paths, name),
    readBlob: (name) => readBlob(paths, name),
    addBlob(bytes, digest = digestOf(bytes)) {
      checkBytes(bytes, { digest, size: bytes.byteLength }, "the image");
      prepare();
      addBlob(paths, bytes, digest);
      return digest;
    },
    entries: layout.entries,
    update: layout.update,
    lease: () => createLease(paths, prepare),
    database() {
      prepare();
      if (database === undefined) {
        // Loaded here and without waiting: most commands do without, and SQLite takes 3 ms to load.
        const { openDatabase }: typeof import("./database.ts") = require("./database.ts");
        database = openDatabase(paths.database);
      }
      return database;
    },
    close() {
      database?.close();
      database = undefined;
    },
  };
}
