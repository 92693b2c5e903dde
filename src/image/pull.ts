/**
 * Pulling an image: the short way, where it is here already, and the door to the long one. Not here: the long one
 * (fetch-image.ts), the protocol (registry/), what is kept (store/), the tar format (layer/).
 */
import { type CtrError, fail } from "../error.ts";
import { missingLayers } from "./layers.ts";
import { layersOf, type PulledImage, type PullRequest, pulledImage } from "./pulled.ts";
import { canonicalName, familiarName, type Reference } from "./reference.ts";
import { resolveLocal } from "./resolve.ts";

export type { PulledImage, PullPolicy, PullRequest } from "./pulled.ts";

/**
 * Makes an image available. On return everything is on disk and checked; on failure the image is as it was before.
 * A process that relies on the snapshot before it has made its own on top should hold a lease on the chain ID first:
 * another process may remove the image at any moment.
 * @throws CtrError NOT_FOUND, UNAUTHORIZED, REGISTRY_DOWN, RATE_LIMITED, NO_PLATFORM, INVALID_IMAGE, NO_SPACE, ...
 */
export async function pullImage(request: PullRequest): Promise<PulledImage> {
  const { reference, store, snapshotter, policy = "always", platform } = request;
  const local = policy === "always" ? undefined : resolveLocal(reference, platform, store);
  if (local !== undefined) {
    const { resolved, config } = local;
    const layers = layersOf(resolved.manifest, config);
    if (missingLayers(snapshotter, layers).length === 0) {
      return pulledImage(canonicalName(reference), resolved, config, layers, true);
    }
  }
  if (local === undefined && policy === "never") throw notHere(reference);
  const { fetchImage } = await import("./fetch-image.ts");
  return fetchImage(request, local);
}

function notHere(reference: Reference): CtrError {
  return fail({
    code: "NOT_FOUND",
    message: `image ${familiarName(reference)} is not here, and may not be pulled`,
    hint: "pull it, or leave out --pull never",
    exitCode: 125,
  });
}
