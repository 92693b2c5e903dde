/**
 * Garbage collection: frees blobs and snapshots that no image, lease or container needs. Safe beside running pulls:
 * what they need is in their leases, and leases do not grow while garbage is collected.
 * Not here: which images there are (images.ts).
 */
import type { Snapshotter } from "../driver.ts";
import { CtrError } from "../error.ts";
import { O_DIRECTORY, O_RDONLY } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close, listDirectory, statusOf, tryOpen, tryUnlink, withFd } from "../kernel/file.ts";
import { INDEX_TYPES } from "../spec/image/media-types.ts";
import { isBroken, readDocument } from "./document.ts";
import { factsOf } from "./facts.ts";
import { UNFINISHED } from "./layers.ts";
import { leaseNames, readLeases } from "./store/lease.ts";
import { lock, tryLock, tryLockFd } from "./store/lock.ts";
import { BLOB_DIRECTORIES } from "./store/paths.ts";
import type { Store } from "./store/store.ts";

/** What was freed. */
export interface Freed {
  readonly blobs: readonly string[];
  readonly snapshots: readonly string[];
  /** Bytes of blobs and partial blobs; snapshots are not counted, which would take longer than removing them. */
  readonly bytes: number;
}

/** Partial blobs that nobody has come back for are kept this long, in nanoseconds: a week. */
const PARTIAL_AGE = 7n * 24n * 3600n * 1_000_000_000n;

/**
 * Removes what nothing needs. Snapshots with others on top (containers' too) stay by the snapshotter's contract.
 * @param keep further blobs and chain IDs in use.
 */
export async function collectGarbage(
  store: Store,
  snapshotter: Snapshotter,
  keep: readonly string[] = [],
): Promise<Freed> {
  store.prepare();
  const held = await lock(store.paths.garbageLock);
  try {
    // Leases first: a pull that ends meanwhile has put its image into the list before it let its lease go.
    const leases = readLeases(store.paths);
    const used = new Set([...keep, ...leases.keys, ...usedByImages(store)]);
    const snapshots = [
      ...removeSnapshots(snapshotter, (key) => UNFINISHED.test(key) && !leases.ids.has(leaseOf(key))),
      ...removeCommitted(snapshotter, used),
    ];
    const { blobs, bytes } = removeBlobs(store, used);
    return { blobs, snapshots, bytes: bytes + removePartials(store, used) };
  } finally {
    held.release();
  }
}

/** Removes snapshots that pulls of dead processes left unfinished. Does nothing while others are at work. */
export async function removeUnfinished(store: Store, snapshotter: Snapshotter): Promise<void> {
  if (leaseNames(store.paths).length === 0) return;
  const held = tryLock(store.paths.garbageLock);
  if (held === undefined) return;
  try {
    const { ids } = readLeases(store.paths);
    removeSnapshots(snapshotter, (key) => UNFINISHED.test(key) && !ids.has(leaseOf(key)));
  } finally {
    held.release();
  }
}

function leaseOf(key: string): string {
  return UNFINISHED.exec(key)?.[1] ?? "";
}

/** Digests and chain IDs of all images in the list. Of one that cannot be read, at least its manifest stays. */
function usedByImages(store: Store): string[] {
  const used: string[] = [];
  for (const entry of store.entries()) {
    used.push(entry.manifest.digest);
    if (entry.source !== undefined) used.push(entry.source);
    if (INDEX_TYPES.some((type) => type === entry.manifest.mediaType))
      used.push(...usedByIndex(store, entry));
    const facts = factsOf(store, entry);
    if (facts === undefined) continue;
    used.push(facts.manifest.digest, facts.id, ...facts.layers, ...facts.chainIDs);
  }
  return used;
}

/** All that an index put there by another tool leads to, as far as it is here. */
function usedByIndex(store: Store, { manifest }: { manifest: { digest: string; size: number } }): string[] {
  const used: string[] = [];
  try {
    const document = readDocument(store.readBlob(manifest), manifest.digest);
    if (document.kind === "manifest") {
      const { config, layers } = document.manifest;
      return [config.digest, ...layers.map(({ digest }) => digest)];
    }
    for (const each of document.index.manifests) {
      used.push(each.digest);
      if (store.hasBlob(each)) used.push(...usedByIndex(store, { manifest: each }));
    }
  } catch (error) {
    // Damaged: it leads nowhere.
    if (!isBroken(error)) throw error;
  }
  return used;
}

/** Committed snapshots under a chain ID, from the top down: those with something on top are refused, and stay. */
function removeCommitted(snapshotter: Snapshotter, used: ReadonlySet<string>): string[] {
  const removed: string[] = [];
  for (;;) {
    const parents = new Set<string | undefined>();
    const unused: string[] = [];
    snapshotter.walk(({ key, kind, parent }) => {
      parents.add(parent);
      if (kind === "committed" && /^sha(?:256|512):/.test(key) && !used.has(key)) unused.push(key);
    });
    const free = unused.filter((key) => !parents.has(key)).filter((key) => tryRemove(snapshotter, key));
    if (free.length === 0) return removed;
    removed.push(...free);
  }
}

function removeSnapshots(snapshotter: Snapshotter, isUnused: (key: string) => boolean): string[] {
  const unused: string[] = [];
  snapshotter.walk(({ key }) => {
    if (isUnused(key)) unused.push(key);
  });
  return unused.filter((key) => tryRemove(snapshotter, key));
}

/** A container may have put something on top since we looked. */
function tryRemove(snapshotter: Snapshotter, key: string): boolean {
  try {
    snapshotter.remove(key);
    return true;
  } catch (error) {
    if (error instanceof CtrError) return false;
    throw error;
  }
}

function removeBlobs(store: Store, used: ReadonlySet<string>): { blobs: string[]; bytes: number } {
  const blobs: string[] = [];
  let bytes = 0;
  for (const algorithm of BLOB_DIRECTORIES) {
    const directory = `${store.root}/blobs/${algorithm}`;
    for (const name of namesIn(directory)) {
      const digest = `${algorithm}:${name}`;
      const size = used.has(digest) ? undefined : statusOf(`${directory}/${name}`)?.size;
      if (size === undefined || tryUnlink(`${directory}/${name}`) < 0) continue;
      blobs.push(digest);
      bytes += size;
    }
  }
  return { blobs, bytes };
}

/** Only those that nobody is writing, and that nobody is going to. */
function removePartials(store: Store, used: ReadonlySet<string>): number {
  const oldest = BigInt(Date.now()) * 1_000_000n - PARTIAL_AGE;
  let bytes = 0;
  for (const name of namesIn(store.paths.ingest)) {
    const path = `${store.paths.ingest}/${name}`;
    const status = statusOf(path);
    if (status === undefined || status.mtime > oldest || used.has(name.replace("-", ":"))) continue;
    const fd = tryOpen(path, O_RDONLY);
    if (fd < 0) continue;
    if (tryLockFd(fd) && tryUnlink(path) === 0) bytes += status.size;
    close(fd);
  }
  return bytes;
}

function namesIn(directory: string): string[] {
  const fd = tryOpen(directory, O_RDONLY | O_DIRECTORY);
  if (fd === -ERRNO.ENOENT) return [];
  return withFd(fd, listDirectory).map(({ name }) => name);
}
