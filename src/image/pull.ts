/**
 * Pulling an image: name to manifest to config and layers, each layer downloaded, unpacked and committed under its
 * chain ID. Not here: the protocol (registry/), what is kept (store/), the tar format (layer/).
 */
import type { Snapshotter } from "../driver.ts";
import { fail } from "../error.ts";
import type { ImageConfig } from "../spec/image/config.ts";
import type { Descriptor } from "../spec/image/descriptor.ts";
import type { WantedPlatform } from "./platform.ts";
import type { Progress } from "./progress.ts";
import type { Reference } from "./reference.ts";
import type { RegistryOptions } from "./registry/options.ts";
import type { Store } from "./store/store.ts";

/** `always`: ask the registry what the name stands for; `missing`: only if it is not here; `never`: do not ask. */
export type PullPolicy = "always" | "missing" | "never";

/** What {@link pullImage} takes. */
export interface PullRequest extends RegistryOptions {
  readonly reference: Reference;
  readonly store: Store;
  readonly snapshotter: Snapshotter;
  /** Default: the host's. */
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
 * Give {@link Store.lease} the chain ID before relying on the snapshot for longer: garbage collection may run.
 * @throws CtrError NOT_FOUND, UNAUTHORIZED, REGISTRY_DOWN, RATE_LIMITED, NO_PLATFORM, INVALID_IMAGE, ...
 */
export async function pullImage(request: PullRequest): Promise<PulledImage> {
  throw fail({ code: "INTERNAL", message: `not there yet: ${request.reference.repository}` });
}
