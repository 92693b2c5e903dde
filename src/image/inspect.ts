/**
 * An image in the shape of Docker's `image inspect`. Not here: printing it (cli).
 */
import type { ContainerDefaults } from "../spec/image/config.ts";
import { type Image, imageConfig } from "./find.ts";
import { familiarName, parseReference } from "./reference.ts";
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

/** `Size` is of the layers unpacked, where that is known, as Docker's. */
export function inspectImage(store: Store, image: Image): InspectedImage {
  const config = imageConfig(store, image);
  const familiar = (name: string) => familiarName(parseReference(name));
  return {
    Id: image.id,
    RepoTags: image.names.map(familiar),
    RepoDigests: image.repoDigests.map(familiar),
    Parent: "",
    Comment: config.history?.at(-1)?.comment ?? "",
    Created: config.created ?? "",
    Author: config.author ?? "",
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: image.size ?? image.contentSize,
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: image.pulledAt ?? "" },
  };
}
