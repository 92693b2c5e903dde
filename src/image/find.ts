/**
 * Looking images up in the store: list, find, name. Not here: getting them (pull.ts), removing them
 * (remove.ts), freeing what nothing uses (garbage.ts).
 */
import { type CtrError, fail } from "../error.ts";
import type { ImageConfig } from "../spec/image/config.ts";
import { ImageConfig as ImageConfigSchema } from "../spec/image/config.ts";
import type { Descriptor } from "../spec/image/descriptor.ts";
import { parseJson } from "../spec/parse.ts";
import { type ImageFacts, knownFacts, unpackedSize } from "./facts.ts";
import { withName } from "./names.ts";
import { canonicalName, familiarName, parseReference, type Reference, repositoryName } from "./reference.ts";
import type { BlobName, ImageEntry, Store } from "./store/store.ts";

/** An image: everything in the store with the same config. */
export interface Image {
  /** Docker's image ID: the digest of the config. */
  readonly id: string;
  readonly manifest: Descriptor;
  readonly config: BlobName;
  /** Canonical names with tags, `docker.io/library/debian:12`. */
  readonly names: readonly string[];
  /** `docker.io/library/debian@sha256:...`: what a registry had it as. */
  readonly repoDigests: readonly string[];
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
  /** RFC 3339; as the config says. */
  readonly created: string | undefined;
  /** When it was last pulled or named, RFC 3339. */
  readonly pulledAt: string | undefined;
  /** Bytes of the manifest, the config and the layers as they were sent. */
  readonly contentSize: number;
  /** Bytes unpacked; undefined where layers were not unpacked here. */
  readonly size: number | undefined;
  /** From the lowest layer up. */
  readonly chainIDs: readonly string[];
}

/** All images, newest first. One that is damaged or not whole is left out. */
export function listImages(store: Store): Image[] {
  const entries = store.entries();
  const facts = knownFacts(store, entries);
  const groups = new Map<string, { facts: ImageFacts; entries: ImageEntry[] }>();
  entries.forEach((entry, at) => {
    const known = facts[at];
    if (known === undefined) return;
    const group = groups.get(known.id);
    if (group === undefined) groups.set(known.id, { facts: known, entries: [entry] });
    else group.entries.push(entry);
  });
  const images = [...groups.values()].map((group) => imageOf(store, group.facts, group.entries));
  return images.sort((a, b) => timeOf(b.created) - timeOf(a.created));
}

function timeOf(created: string | undefined): number {
  return created === undefined ? 0 : Date.parse(created);
}

function imageOf(store: Store, facts: ImageFacts, entries: readonly ImageEntry[]): Image {
  const { id, config, os, architecture, variant, created, chainIDs, contentSize } = facts;
  const digests = entries.flatMap(({ repository, source }) =>
    repository === undefined || source === undefined ? [] : [`${repository}@${source}`],
  );
  return {
    id,
    manifest: facts.manifest,
    config,
    names: entries.flatMap(({ name }) => (name === undefined || name.includes("@") ? [] : [name])),
    repoDigests: [...new Set(digests)],
    os,
    architecture,
    variant,
    created,
    pulledAt: entries
      .map((entry) => entry.pulledAt ?? "")
      .sort()
      .at(-1),
    contentSize,
    size: unpackedSize(store, chainIDs),
    chainIDs,
  };
}

/** What a person named. */
export interface FoundImage {
  readonly image: Image;
  /** The tagged name in the store that was meant, if it was one and not an ID or a digest. */
  readonly name: string | undefined;
}

/**
 * Finds an image as Docker does: by ID if it says `sha256:`, else by name or digest, else by the start of its ID.
 * @throws CtrError AMBIGUOUS, INVALID_REFERENCE
 */
export function findImage(store: Store, text: string): FoundImage | undefined {
  const images = listImages(store);
  const id = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(text)?.[1];
  if (text.startsWith("sha256:") && id !== undefined) return byID(images, id, text);
  const reference = parseReference(text);
  const found = byReference(images, reference);
  if (found !== undefined || id === undefined) return found;
  return byID(images, id, text);
}

function byReference(images: readonly Image[], reference: Reference): FoundImage | undefined {
  const name = canonicalName(reference);
  const { digest } = reference;
  if (digest === undefined) {
    const image = images.find(({ names }) => names.includes(name));
    return image === undefined ? undefined : { image, name };
  }
  const repository = repositoryName(reference);
  const image = images.find(
    ({ repoDigests, manifest }) =>
      repoDigests.includes(name) ||
      (manifest.digest === digest && repoDigests.some((each) => each.startsWith(`${repository}@`))),
  );
  return image === undefined ? undefined : { image, name: undefined };
}

function byID(images: readonly Image[], prefix: string, text: string): FoundImage | undefined {
  const found = images.filter(({ id }) => id.startsWith(`sha256:${prefix}`));
  const [image] = found;
  if (found.length > 1) {
    throw fail({
      code: "AMBIGUOUS",
      message: `${JSON.stringify(text)} is the start of ${found.length} image IDs`,
      hint: `write more of it: ${found.map(({ id }) => id.slice(7, 19)).join(", ")}`,
    });
  }
  return image === undefined ? undefined : { image, name: undefined };
}

/** As {@link findImage}. @throws CtrError NOT_FOUND in Docker's words, `No such image: x:latest` */
export function resolveImage(store: Store, text: string): FoundImage {
  const found = findImage(store, text);
  if (found === undefined) throw noSuchImage(text);
  return found;
}

function noSuchImage(text: string): CtrError {
  const shown = /^sha256:/.test(text) ? text : familiarName(parseReference(text));
  return fail({
    code: "NOT_FOUND",
    message: `No such image: ${shown}`,
    hint: "`images` lists those that are here, `pull` gets others",
  });
}

/** The image's config, read from the store and checked again. */
export function imageConfig(store: Store, image: Pick<Image, "config">): ImageConfig {
  return parseJson(ImageConfigSchema, store.readBlob(image.config), "image config");
}

/** Gives an image one more name; another image that has it loses it. @throws CtrError INVALID_REFERENCE */
export function tagImage(store: Store, image: Image, target: Reference): void {
  if (target.digest !== undefined) {
    throw fail({
      code: "INVALID_REFERENCE",
      message: `cannot name an image ${JSON.stringify(familiarName(target))}: a digest is not for choosing`,
      hint: "give a name and a tag",
    });
  }
  const name = canonicalName(target);
  store.update((entries) => {
    const from = entries.find(({ manifest }) => manifest.digest === image.manifest.digest);
    if (from === undefined) throw noSuchImage(image.id);
    const pulledAt = new Date().toISOString();
    return withName(entries, { ...from, name, repository: undefined, source: undefined, pulledAt });
  });
}
