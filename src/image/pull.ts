/**
 * Pulling an image: name to manifest to config and layers, each layer downloaded, unpacked and committed under its
 * chain ID, and the name last. Not here: the protocol (registry/), what is kept (store/), the tar format (layer/).
 */
import type { Snapshotter } from "../driver.ts";
import { CtrError, fail } from "../error.ts";
import type { ImageConfig } from "../spec/image/config.ts";
import type { Descriptor } from "../spec/image/descriptor.ts";
import type { ImageManifest } from "../spec/image/manifest.ts";
import { chainIDsOf } from "./chain.ts";
import { readConfig } from "./document.ts";
import { createDownloads, type Downloads } from "./download.ts";
import { removeUnfinished } from "./garbage.ts";
import { installLayers, type Layer, missingLayers } from "./layers.ts";
import { nameImage } from "./names.ts";
import { formatPlatform, hostPlatform, isPlatform, type WantedPlatform } from "./platform.ts";
import type { Progress } from "./progress.ts";
import { canonicalName, familiarName, type Reference, repositoryName } from "./reference.ts";
import { openRepository, type RegistryClient } from "./registry/client.ts";
import { cancelled } from "./registry/errors.ts";
import type { RegistryOptions } from "./registry/options.ts";
import { checkPlatform, type ResolvedManifest, resolveLocal, resolveRemote } from "./resolve.ts";
import type { Lease, Store } from "./store/store.ts";

/** `always`: ask the registry what the name stands for; `missing`: only if it is not here; `never`: do not ask. */
export type PullPolicy = "always" | "missing" | "never";

/** What {@link pullImage} takes. */
export interface PullRequest extends RegistryOptions {
  readonly reference: Reference;
  readonly store: Store;
  readonly snapshotter: Snapshotter;
  /** Default: the host's, and an image that is for another platform alone is taken with a warning. */
  readonly platform?: WantedPlatform | undefined;
  /** Default: `always`. */
  readonly policy?: PullPolicy | undefined;
  readonly progress?: Progress | undefined;
  /** Aborts the pull; what has come so far is kept for the next one. */
  readonly signal?: AbortSignal | undefined;
}

/** An image that is whole in the store and the snapshotter. */
export interface PulledImage {
  /** Docker's image ID: the digest of the config. */
  readonly id: string;
  /** The name it now has, in canonical form. */
  readonly name: string;
  /** Digest that the registry has for the name: an index's, or the manifest's. Docker's repo digest. */
  readonly digest: string;
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
  /** Key of the committed snapshot to make containers on; undefined for an image without layers. */
  readonly chainID: string | undefined;
  /** Nothing had to be fetched or unpacked. */
  readonly wasPresent: boolean;
}

/**
 * Makes an image available. On return everything is on disk and checked; on failure the image is as it was before.
 * A process that relies on the snapshot before it has made its own on top should hold a lease on the chain ID first:
 * another process may remove the image at any moment.
 * @throws CtrError NOT_FOUND, UNAUTHORIZED, REGISTRY_DOWN, RATE_LIMITED, NO_PLATFORM, INVALID_IMAGE, NO_SPACE, ...
 */
export async function pullImage(request: PullRequest): Promise<PulledImage> {
  const { reference, store, snapshotter, policy = "always", signal, progress = () => {} } = request;
  const local = policy === "always" ? undefined : resolveLocal(reference, request.platform, store);
  if (local !== undefined) {
    const { resolved, config } = local;
    const layers = layersOf(resolved.manifest, config);
    if (missingLayers(snapshotter, layers).length === 0) {
      return pulled(canonicalName(reference), resolved, config, layers, true);
    }
  }
  if (local === undefined && policy === "never") throw notHere(reference);
  const isOffline = policy === "never";
  const client = isOffline
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
    if (error instanceof CtrError) throw error;
    // What an aborted signal throws is its reason.
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    lease.release();
    signal?.removeEventListener("abort", onAbort);
  }
}

interface PullState {
  readonly request: PullRequest;
  readonly local: ReturnType<typeof resolveLocal>;
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
  const isNew = nameImage(store, {
    manifest: {
      ...descriptor,
      platform: { os: config.os, architecture: config.architecture, variant: config.variant },
    },
    name,
    repository: repositoryName(reference),
    source,
    pulledAt: new Date().toISOString(),
  });
  return pulled(name, resolved, config, layers, !wasUnpacked && !isNew);
}

function layersOf(manifest: ImageManifest, config: ImageConfig): Layer[] {
  const diffIDs = config.rootfs.diff_ids;
  const chainIDs = chainIDsOf(diffIDs);
  return manifest.layers.map((descriptor, at) => ({
    descriptor,
    diffID: diffIDs[at] ?? "",
    chainID: chainIDs[at] ?? "",
  }));
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

function pulled(
  name: string,
  { source, descriptor, manifest }: ResolvedManifest,
  config: ImageConfig,
  layers: readonly Layer[],
  wasPresent: boolean,
): PulledImage {
  const id = manifest.config.digest;
  const chainID = layers.at(-1)?.chainID;
  return { id, name, digest: source, manifest: descriptor, config, chainID, wasPresent };
}

function need(client: RegistryClient | undefined): RegistryClient {
  if (client !== undefined) return client;
  throw fail({ code: "INTERNAL", message: "a registry is needed where none may be asked" });
}

function notHere(reference: Reference): CtrError {
  return fail({
    code: "NOT_FOUND",
    message: `image ${familiarName(reference)} is not here, and may not be pulled`,
    hint: "pull it, or leave out --pull never",
    exitCode: 125,
  });
}
