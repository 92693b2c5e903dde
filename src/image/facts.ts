/**
 * What the documents of an image say of it, in one record: read from manifest and config, and for lists kept in the
 * database. A record is named by the manifest's digest, and so never goes stale. Not here: names (images.ts).
 */
import type { Descriptor } from "../spec/image/descriptor.ts";
import { chainIDsOf } from "./chain.ts";
import { isBroken, readConfig } from "./document.ts";
import { hostPlatform } from "./platform.ts";
import { readManifest } from "./resolve.ts";
import type { ImageEntry, Store } from "./store/store.ts";

/** Facts of one image. */
export interface ImageFacts {
  /** Digest of the config. */
  readonly id: string;
  readonly manifest: Pick<Descriptor, "mediaType" | "digest" | "size">;
  readonly config: Pick<Descriptor, "digest" | "size">;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly created?: string | undefined;
  /** Digests of the layers' blobs, lowest first. */
  readonly layers: readonly string[];
  readonly chainIDs: readonly string[];
  /** Bytes of manifest, config and layers as they were sent. */
  readonly contentSize: number;
}

/** Facts from the documents; undefined for an image that is not whole, or that cannot be read. */
export function factsOf(store: Store, entry: ImageEntry): ImageFacts | undefined {
  try {
    const name = entry.name ?? entry.manifest.digest;
    const { manifest, descriptor } = readManifest(entry.manifest, store, hostPlatform(), name);
    const config = readConfig(store.readBlob(manifest.config), manifest, name);
    const parts = [descriptor, manifest.config, ...manifest.layers];
    return {
      id: manifest.config.digest,
      manifest: { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size },
      config: { digest: manifest.config.digest, size: manifest.config.size },
      os: config.os,
      architecture: config.architecture,
      variant: config.variant,
      created: config.created,
      layers: manifest.layers.map(({ digest }) => digest),
      chainIDs: chainIDsOf(config.rootfs.diff_ids),
      contentSize: parts.reduce((sum, { size }) => sum + size, 0),
    };
  } catch (error) {
    if (isBroken(error)) return undefined;
    throw error;
  }
}

/** As {@link factsOf}, for many images: what the database has is not read again. */
export function knownFacts(store: Store, entries: readonly ImageEntry[]): (ImageFacts | undefined)[] {
  if (entries.length === 0) return [];
  const database = store.database();
  const find = database.query<{ image: string }, [string]>("SELECT image FROM facts WHERE manifest = ?");
  const keep = database.query("INSERT OR REPLACE INTO facts (manifest, image) VALUES (?, ?)");
  return entries.map((entry) => {
    const row = find.get(entry.manifest.digest);
    // The documents may have been lost since; a list that shows what cannot be used would be of no use.
    if (row !== null) {
      const facts: ImageFacts = JSON.parse(row.image);
      if (store.hasBlob(facts.manifest) && store.hasBlob(facts.config)) return facts;
    }
    const facts = factsOf(store, entry);
    if (facts !== undefined) keep.run(entry.manifest.digest, JSON.stringify(facts));
    return facts;
  });
}

/** Bytes that layers had unpacked, as a snapshotter was given them; undefined if any is not known. */
export function unpackedSize(store: Store, chainIDs: readonly string[]): number | undefined {
  if (chainIDs.length === 0) return 0;
  const find = store
    .database()
    .query<{ size: number }, [string]>("SELECT size FROM layers WHERE chain_id = ? LIMIT 1");
  let sum = 0;
  for (const chainID of chainIDs) {
    const row = find.get(chainID);
    if (row === null) return undefined;
    sum += row.size;
  }
  return sum;
}
