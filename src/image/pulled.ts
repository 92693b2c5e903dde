/**
 * What is asked of a pull and what comes of it. Not here: pulling (pull.ts, fetch-image.ts).
 */
import type { Snapshotter } from "../driver.ts";
import type { ImageConfig } from "../spec/image/config.ts";
import type { Descriptor } from "../spec/image/descriptor.ts";
import type { ImageManifest } from "../spec/image/manifest.ts";
import { chainIDsOf } from "./chain.ts";
import type { Layer } from "./layers.ts";
import type { WantedPlatform } from "./platform.ts";
import type { Progress } from "./progress.ts";
import type { Reference } from "./reference.ts";
import type { RegistryOptions } from "./registry/options.ts";
import type { ResolvedManifest } from "./resolve.ts";
import type { ImageEntry, Store } from "./store/store.ts";

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

/** What the store has of an image: its documents, whole. */
export interface LocalImage {
  readonly resolved: ResolvedManifest;
  readonly config: ImageConfig;
  readonly entry: ImageEntry;
}

/** The layers of an image by all of their names. */
export function layersOf(manifest: ImageManifest, config: ImageConfig): Layer[] {
  const diffIDs = config.rootfs.diff_ids;
  const chainIDs = chainIDsOf(diffIDs);
  return manifest.layers.map((descriptor, at) => ({
    descriptor,
    diffID: diffIDs[at] ?? "",
    chainID: chainIDs[at] ?? "",
  }));
}

/** The answer to a pull. */
export function pulledImage(
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
