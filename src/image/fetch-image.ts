/**
 * The long way of a pull: documents and layers from the registry into store and snapshotter, and the name last.
 * Not here: the short way, where nothing is to be done (pull.ts), which does not load this file.
 */
import { CtrError, fail } from "../error.ts";
import { ERRNO } from "../kernel/errno.ts";
import type { ImageConfig } from "../spec/image/config.ts";
import type { ImageManifest } from "../spec/image/manifest.ts";
import { readConfig } from "./document.ts";
import { createDownloads, type Downloads } from "./download.ts";
import { removeUnfinished } from "./garbage.ts";
import { installLayers } from "./layers.ts";
import { nameImage } from "./names.ts";
import { formatPlatform, hostPlatform, isPlatform, type WantedPlatform } from "./platform.ts";
import type { Progress } from "./progress.ts";
import { type LocalImage, layersOf, type PulledImage, type PullRequest, pulledImage } from "./pulled.ts";
import { canonicalName, repositoryName } from "./reference.ts";
import { openRepository, type RegistryClient } from "./registry/client.ts";
import { cancelled } from "./registry/errors.ts";
import { checkPlatform, resolveRemote } from "./resolve.ts";
import { writeError } from "./store/ingest.ts";
import type { Lease, Store } from "./store/store.ts";

/** Pulls an image, or what is missing of one that is known here. */
export async function fetchImage(request: PullRequest, local: LocalImage | undefined): Promise<PulledImage> {
  // The executable starts with compilers held back, for short commands; hashing and unpacking are worth compiling.
  Bun.unsafe.setJITPolicy(1);
  const { reference, store, snapshotter, policy, signal, progress = () => {} } = request;
  const client =
    policy === "never"
      ? undefined
      : openRepository(reference.registry, reference.repository, request, progress);
  const controller = new AbortController();
  const onAbort = () => controller.abort(cancelled(signal?.reason));
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  const lease = store.lease();
  try {
    await removeUnfinished(store, snapshotter);
    return await pullWith({ request, local, client, controller, lease, progress });
  } catch (error) {
    // What an aborted signal throws is its reason.
    const isForeign = controller.signal.aborted && !(error instanceof CtrError);
    throw inPlainWords(isForeign ? controller.signal.reason : error, store);
  } finally {
    lease.release();
    signal?.removeEventListener("abort", onAbort);
  }
}

/** A full disk may be met in many places: in blobs, in layers, in the list of images. */
function inPlainWords(error: unknown, { root }: Store): unknown {
  if (!(error instanceof CtrError) || error.code === "NO_SPACE") return error;
  const errno = error.errno === "ENOSPC" ? ERRNO.ENOSPC : error.errno === "EDQUOT" ? ERRNO.EDQUOT : undefined;
  return errno === undefined ? error : writeError(errno, root, error.path ?? root);
}

interface PullState {
  readonly request: PullRequest;
  readonly local: LocalImage | undefined;
  readonly client: RegistryClient | undefined;
  readonly controller: AbortController;
  readonly lease: Lease;
  readonly progress: Progress;
}

async function pullWith(state: PullState): Promise<PulledImage> {
  const { request, local, client, controller, lease, progress } = state;
  const { reference, store, snapshotter, platform } = request;
  const { signal } = controller;
  const name = canonicalName(reference);
  const resolved =
    local?.resolved ??
    (await resolveRemote(reference, platform ?? hostPlatform(), need(client), store, signal));
  const { source, descriptor, manifest, documents } = resolved;
  const blobs = [manifest.config, ...manifest.layers].map(({ digest }) => digest);
  await lease.hold([source, ...documents.map(({ digest }) => digest), ...blobs], signal);
  const places = new Map<string, number[]>();
  manifest.layers.forEach(({ digest }, at) => {
    places.set(digest, [...(places.get(digest) ?? []), at]);
  });
  const downloads = createDownloads({
    store,
    client,
    from: client === undefined ? name : `registry ${reference.registry}`,
    signal,
    onProgress(digest, status, done) {
      for (const layer of places.get(digest) ?? []) {
        const total = manifest.layers[layer]?.size ?? 0;
        progress({ kind: "layer", layer, digest, status, done, total });
      }
    },
  });
  const config = local?.config ?? (await fetchConfig(manifest, downloads, store, name));
  checkOrWarn(config, platform, name, progress);
  const layers = layersOf(manifest, config);
  await lease.hold(
    layers.map(({ chainID }) => chainID),
    signal,
  );
  progress({
    kind: "resolved",
    name,
    digest: source,
    platform: formatPlatform(config),
    layers: manifest.layers.map(({ digest, size }) => ({ digest, size })),
  });
  for (const { bytes, digest } of documents) store.addBlob(bytes, digest);
  const leaseID = lease.id;
  const job = { store, snapshotter, downloads, layers, leaseID, progress, controller };
  const wasUnpacked = await installLayers(job).catch((error) => {
    throw withForeignHint(error, manifest);
  });
  // What has a name here keeps it as it is.
  const isNew =
    local === undefined &&
    nameImage(store, {
      manifest: {
        ...descriptor,
        platform: { os: config.os, architecture: config.architecture, variant: config.variant },
      },
      name,
      repository: repositoryName(reference),
      source,
      pulledAt: new Date().toISOString(),
    });
  return pulledImage(name, resolved, config, layers, !wasUnpacked && !isNew);
}

async function fetchConfig(manifest: ImageManifest, downloads: Downloads, store: Store, name: string) {
  for (let tries = 1; ; tries++) {
    try {
      await downloads.get(manifest.config).whole;
      return readConfig(store.readBlob(manifest.config), manifest, name);
    } catch (error) {
      // What lay here from before was damaged, and is gone: once more, from the registry.
      const isOld =
        error instanceof CtrError && (error.code === "DAMAGED_PARTIAL" || error.code === "DAMAGED");
      if (!isOld || tries > 1) throw error;
    }
  }
}

function checkOrWarn(
  config: ImageConfig,
  wanted: WantedPlatform | undefined,
  name: string,
  progress: Progress,
): void {
  if (wanted !== undefined) checkPlatform(config, wanted, name);
  else if (!isPlatform(config, hostPlatform())) {
    const message = `${name} is for ${formatPlatform(config)}, and this host is ${formatPlatform(hostPlatform())}`;
    progress({ kind: "warning", message });
  }
}

/** A layer with URLs may be elsewhere only; we do not go where an image sends us. */
function withForeignHint(error: unknown, manifest: ImageManifest): unknown {
  if (!(error instanceof CtrError) || error.code !== "NOT_FOUND") return error;
  const foreign = manifest.layers.find(({ digest, urls }) => urls?.length && error.message.includes(digest));
  if (foreign === undefined) return error;
  return fail({
    code: "UNSUPPORTED",
    message: `layer ${foreign.digest} is a foreign one, which the registry does not have`,
    hint: "layers are not fetched from the other hosts that an image names; copy the image to a registry with all of it",
    cause: error,
  });
}

function need(client: RegistryClient | undefined): RegistryClient {
  if (client !== undefined) return client;
  throw fail({ code: "INTERNAL", message: "a registry is needed where none may be asked" });
}
