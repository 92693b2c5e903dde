/**
 * An image in the shape of Docker's `image inspect`. Not here: printing it (cli).
 */
import { fail } from "../error.ts";
import type { ContainerDefaults } from "../spec/image/config.ts";
import type { Image } from "./images.ts";
import type { Store } from "./store/store.ts";

/** Docker's JSON; sizes in bytes, `Created` RFC 3339. */
export interface InspectedImage {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Parent: "";
  readonly Comment: string;
  readonly Created: string;
  readonly Author: string;
  readonly Config: ContainerDefaults;
  readonly Architecture: string;
  readonly Variant?: string;
  readonly Os: string;
  readonly Size: number;
  readonly RootFS: { readonly Type: "layers"; readonly Layers: readonly string[] };
  readonly Metadata: { readonly LastTagTime: string };
}

export function inspectImage(store: Store, image: Image): InspectedImage {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root} ${image.id}` });
}
