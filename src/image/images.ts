/**
 * Images in the store, as people ask for them: list, find, tag, remove, inspect. Not here: getting them (pull.ts),
 * freeing what nothing uses (garbage.ts).
 */
import { fail } from "../error.ts";
import type { ImageConfig } from "../spec/image/config.ts";
import type { Descriptor } from "../spec/image/descriptor.ts";
import type { Reference } from "./reference.ts";
import type { Store } from "./store/store.ts";

/** An image: everything in the store with the same config. */
export interface Image {
  /** Docker's image ID: the digest of the config. */
  readonly id: string;
  readonly manifest: Descriptor;
  /** Canonical names, `docker.io/library/debian:12`. */
  readonly names: readonly string[];
  /** `docker.io/library/debian@sha256:...`: what a registry had it as. */
  readonly repoDigests: readonly string[];
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
  /** RFC 3339; as the config says. */
  readonly created: string | undefined;
  /** Bytes of the manifest, the config and the layers as they were sent. */
  readonly contentSize: number;
  /** Bytes unpacked; undefined for layers that were not unpacked here. */
  readonly size: number | undefined;
  /** From the lowest layer up. */
  readonly chainIDs: readonly string[];
}

/** Who uses images: given by the engine, which knows the containers. Image ID to names of containers. */
export type ImageUsage = (id: string) => readonly string[];

/** All images, newest first. */
export function listImages(store: Store): Image[] {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root}` });
}

/** What a person named: a familiar name, an ID or its prefix, a digest. */
export interface FoundImage {
  readonly image: Image;
  /** The name in the store that was meant, if it was a name and not an ID. */
  readonly name: string | undefined;
}

/** Finds an image by familiar name, by ID or the start of one, or by digest. @throws CtrError AMBIGUOUS */
export function findImage(store: Store, text: string): FoundImage | undefined {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root} ${text}` });
}

/** As {@link findImage}. @throws CtrError NOT_FOUND in Docker's words, `No such image: x:latest` */
export function resolveImage(store: Store, text: string): FoundImage {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root} ${text}` });
}

/** The image's config, read from the store and checked again. */
export function imageConfig(store: Store, image: Image): ImageConfig {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root} ${image.id}` });
}

/** Gives an image one more name; another image that has it loses it. */
export function tagImage(store: Store, image: Image, target: Reference): void {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root} ${image.id} ${target.tag}` });
}

/** What was done, for people: Docker's `Untagged:` and `Deleted:` lines. */
export interface RemovedImage {
  readonly untagged: readonly string[];
  readonly deleted: readonly string[];
}

/**
 * Takes a name away; with the last one the image goes, and `collectGarbage` frees its space.
 * @param usage who uses it: a used image loses names, but goes only with `force`.
 * @throws CtrError NOT_FOUND, IN_USE
 */
export function removeImage(
  store: Store,
  text: string,
  usage: ImageUsage,
  options: { readonly force?: boolean } = {},
): RemovedImage {
  throw fail({ code: "INTERNAL", message: `not there yet: ${store.root} ${text} ${usage} ${options}` });
}
