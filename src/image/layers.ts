/**
 * Layers into snapshots: each one unpacked while it arrives, checked against its diff ID, and committed under its
 * chain ID, from the lowest up. Not here: fetching (download.ts), the tar format (layer/), the driver (drivers/).
 */
import type { Snapshotter } from "../driver.ts";
import { CtrError, fail } from "../error.ts";
import type { Descriptor } from "../spec/image/descriptor.ts";
import {
  DOCKER_FOREIGN_LAYER_GZIP,
  DOCKER_LAYER_GZIP,
  OCI_FOREIGN_LAYER_GZIP,
  OCI_FOREIGN_LAYER_TAR,
  OCI_FOREIGN_LAYER_ZSTD,
  OCI_LAYER_GZIP,
  OCI_LAYER_TAR,
  OCI_LAYER_ZSTD,
} from "../spec/image/media-types.ts";
import type { BlobSource, Downloads } from "./download.ts";
import type { LayerStatus, Progress } from "./progress.ts";
import { verifyBlob } from "./store/ingest.ts";
import { lock } from "./store/lock.ts";
import type { Store } from "./store/store.ts";

/** One layer by all of its names. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffID: string;
  readonly chainID: string;
}

/** What {@link installLayers} needs. */
export interface LayersJob {
  readonly store: Store;
  readonly snapshotter: Snapshotter;
  readonly downloads: Downloads;
  readonly layers: readonly Layer[];
  /** In the keys of unfinished snapshots, so that those of a dead process can be told and removed. */
  readonly leaseID: string;
  readonly progress: Progress;
  /** Stops everything: the first failure of a layer aborts it, with the failure as its reason. */
  readonly controller: AbortController;
}

/** Snapshots that a pull has not finished begin with this, and go on with its lease's ID. */
export const UNFINISHED = /^pull-([0-9a-f]{32})-/;

/** What unpacking says of content that is not right. */
const CONTENT_ERRORS: ReadonlySet<string> = new Set([
  "INVALID_LAYER",
  "LAYER_LIMIT",
  "DIGEST_MISMATCH",
  "INVALID_IMAGE",
]);

/** Foreign layers are like others once they are here. From where they are taken, see pull.ts. */
const PLAIN_TYPES: Readonly<Record<string, string>> = {
  [OCI_FOREIGN_LAYER_TAR]: OCI_LAYER_TAR,
  [OCI_FOREIGN_LAYER_GZIP]: OCI_LAYER_GZIP,
  [OCI_FOREIGN_LAYER_ZSTD]: OCI_LAYER_ZSTD,
  [DOCKER_FOREIGN_LAYER_GZIP]: DOCKER_LAYER_GZIP,
};

/** Layers that are not committed yet: a committed one has all of those below it. */
export function missingLayers(snapshotter: Snapshotter, layers: readonly Layer[]): readonly Layer[] {
  const top = layers.findLastIndex(({ chainID }) => isCommitted(snapshotter, chainID));
  return layers.slice(top + 1);
}

function isCommitted(snapshotter: Snapshotter, chainID: string): boolean {
  return snapshotter.stat(chainID)?.kind === "committed";
}

/**
 * Makes sure that every layer is committed. Whether anything had to be done.
 * @throws what the first failure was; the snapshot that was being made is removed, committed ones stay.
 */
export async function installLayers(job: LayersJob): Promise<boolean> {
  const { snapshotter, layers, controller, downloads } = job;
  const missing = missingLayers(snapshotter, layers);
  for (const layer of layers.slice(0, layers.length - missing.length)) tell(job, layer, "exists");
  try {
    for (const layer of missing) sourceOf(job, layer);
    for (const layer of missing) await install(job, layer);
  } catch (error) {
    controller.abort(error);
    await downloads.settle();
    throw controller.signal.reason;
  }
  return missing.length > 0;
}

/** The blob's source; a failure of it stops everything else, unless it is worth another try. */
function sourceOf({ downloads, controller }: LayersJob, { descriptor }: Layer): BlobSource {
  const source = downloads.get(descriptor);
  source.whole.catch((error) => {
    if (!isDamagedPartial(error)) controller.abort(error);
  });
  return source;
}

function isDamagedPartial(error: unknown): boolean {
  return error instanceof CtrError && error.code === "DAMAGED_PARTIAL";
}

async function install(job: LayersJob, layer: Layer): Promise<void> {
  const { snapshotter, store, controller } = job;
  const path = store.paths.chainLock(layer.chainID);
  const held = await lock(path, "exclusive", controller.signal, () => tell(job, layer, "waiting"));
  try {
    // Another process may have made it while we waited.
    if (isCommitted(snapshotter, layer.chainID)) {
      tell(job, layer, "exists");
      return;
    }
    await unpackOnce(job, layer).catch(async (error) => {
      if (!isDamagedPartial(error) && !(await wasDamagedHere(job, layer, error))) throw error;
      return unpackOnce(job, layer);
    });
    tell(job, layer, "done", layer.descriptor.size);
  } finally {
    held.release(true);
  }
}

/** Whether a blob that lay here from before has changed since: it is removed, and worth fetching anew. */
async function wasDamagedHere(job: LayersJob, { descriptor }: Layer, error: unknown): Promise<boolean> {
  const { store, downloads, controller } = job;
  const isOfContent = error instanceof CtrError && CONTENT_ERRORS.has(error.code);
  if (controller.signal.aborted || !isOfContent || downloads.get(descriptor).wasFetched()) return false;
  return !(await verifyBlob(store.paths, descriptor, controller.signal));
}

async function unpackOnce(job: LayersJob, layer: Layer): Promise<void> {
  const { snapshotter, layers, leaseID, controller } = job;
  const parent = layers[layers.indexOf(layer) - 1]?.chainID;
  const key = `pull-${leaseID}-${layer.chainID.replace(/^.*:/, "")}`;
  const source = sourceOf(job, layer);
  snapshotter.prepare(key, parent);
  try {
    const { applyLayer } = await import("./layer/apply.ts");
    const { diffID, size } = await applyLayer({
      snapshotter,
      key,
      source: watched(job, layer, source),
      mediaType: PLAIN_TYPES[layer.descriptor.mediaType] ?? layer.descriptor.mediaType,
      diffID: layer.diffID,
    });
    await source.whole;
    controller.signal.throwIfAborted();
    if (diffID !== layer.diffID) throw wrongDiffID(layer, diffID);
    snapshotter.commit(layer.chainID, key);
    remember(job, layer, parent, size);
  } catch (error) {
    snapshotter.remove(key);
    // What is wrong with the blob explains what is wrong with its content. A download that failed says so here.
    if (!controller.signal.aborted) await source.whole;
    throw error;
  }
}

/** The blob's bytes, counted, until something else fails. */
async function* watched(job: LayersJob, layer: Layer, source: BlobSource): AsyncGenerator<Uint8Array, void> {
  let done = 0;
  for await (const piece of source.read()) {
    job.controller.signal.throwIfAborted();
    done += piece.byteLength;
    tell(job, layer, "unpacking", done);
    yield piece;
  }
}

function tell({ progress, layers }: LayersJob, layer: Layer, status: LayerStatus, done = 0): void {
  const { digest, size } = layer.descriptor;
  progress({ kind: "layer", layer: layers.indexOf(layer), digest, status, done, total: size });
}

/** For sizes and for finding layers again; nothing depends on it, so a failure is only told. */
function remember(
  { store, snapshotter, progress }: LayersJob,
  { chainID, diffID, descriptor }: Layer,
  parent: string | undefined,
  size: number,
): void {
  try {
    const insert =
      "INSERT OR REPLACE INTO layers (snapshotter, chain_id, parent, diff_id, blob, size, committed_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
    store
      .database()
      .query(insert)
      .run(
        snapshotter.name,
        chainID,
        parent ?? null,
        diffID,
        descriptor.digest,
        size,
        new Date().toISOString(),
      );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    progress({ kind: "warning", message: `the size of layer ${chainID} could not be noted: ${why}` });
  }
}

function wrongDiffID({ descriptor, diffID }: Layer, found: string): CtrError {
  return fail({
    code: "INVALID_IMAGE",
    message: `layer ${descriptor.digest} unpacks to ${found} where the config says ${diffID}`,
    hint: "the image is damaged or was tampered with",
  });
}
