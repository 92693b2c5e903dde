/**
 * Where everything in a store is. Not here: reading or writing any of it.
 */
import { mkdirAll } from "../../kernel/file.ts";
import { parseDigest } from "../../spec/image/digest.ts";

/** Paths below the root of a store. */
export interface StorePaths {
  readonly root: string;
  /** `oci-layout` and `index.json` of the image layout (image-spec image-layout.md). */
  readonly layout: string;
  readonly index: string;
  /** Partial blobs, named ALGORITHM-HEX; who writes one holds a lock on it. */
  readonly ingest: string;
  readonly leases: string;
  readonly locks: string;
  /** Held shared while a lease grows, exclusively while garbage is collected. */
  readonly garbageLock: string;
  /** Held while index.json is changed. */
  readonly indexLock: string;
  readonly database: string;
  blob(digest: string): string;
  partial(digest: string): string;
  chainLock(chainID: string): string;
}

/** Directories that hold blobs: of every algorithm whose digests we verify. */
export const BLOB_DIRECTORIES = ["sha256", "sha512"] as const;

export function storePaths(root: string): StorePaths {
  const flat = (digest: string) => {
    const { algorithm, encoded } = parseDigest(digest);
    return `${algorithm}-${encoded}`;
  };
  return {
    root,
    layout: `${root}/oci-layout`,
    index: `${root}/index.json`,
    ingest: `${root}/ingest`,
    leases: `${root}/leases`,
    locks: `${root}/locks`,
    garbageLock: `${root}/locks/garbage`,
    indexLock: `${root}/locks/index`,
    database: `${root}/ctr-bun.db`,
    blob(digest) {
      const { algorithm, encoded } = parseDigest(digest);
      return `${root}/blobs/${algorithm}/${encoded}`;
    },
    partial: (digest) => `${root}/ingest/${flat(digest)}`,
    chainLock: (chainID) => `${root}/locks/chain-${flat(chainID)}`,
  };
}

/** Makes the store's directories, for nobody but their owner. */
export function makeDirectories(paths: StorePaths): void {
  const blobs = BLOB_DIRECTORIES.map((name) => `${paths.root}/blobs/${name}`);
  for (const path of [...blobs, paths.ingest, paths.leases, paths.locks]) mkdirAll(path, 0o700);
}
