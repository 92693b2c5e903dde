/**
 * Removing images: a name, or with the last name the image. Not here: freeing the space (garbage.ts).
 */

import { type CtrError, fail } from "../error.ts";
import { shortID } from "../spec/image/short-id.ts";
import { knownFacts } from "./facts.ts";
import { type Image, resolveImage } from "./find.ts";
import { withoutDoubles } from "./names.ts";
import { familiarName, parseReference, repositoryName } from "./reference.ts";
import type { ImageEntry, Store } from "./store/store.ts";

/** Who uses images: given by the engine, which knows the containers. Image ID to names of containers. */
export type ImageUsage = (id: string) => readonly string[];

/** What was done, for people: Docker's `Untagged:` and `Deleted:` lines. */
export interface RemovedImage {
  /** Familiar names. */
  readonly untagged: readonly string[];
  /** Image IDs. */
  readonly deleted: readonly string[];
}

/**
 * Takes a name away; with the last one the image goes, and `collectGarbage` then frees its space.
 * @param text a name, which takes that one away; an ID, for all names; a digest, for what was pulled by it.
 * @param usage who uses it: a used image does not go without `force`. Its containers keep their snapshots.
 * @throws CtrError NOT_FOUND, IN_USE, AMBIGUOUS
 */
export function removeImage(
  store: Store,
  text: string,
  usage: ImageUsage,
  options: { readonly force?: boolean } = {},
): RemovedImage {
  const { image, name } = resolveImage(store, text);
  const isForced = options.force ?? false;
  const digest = name === undefined && text.includes("@") ? text : undefined;
  const isLast = name === undefined ? digest === undefined : image.names.length <= 1;
  if (isLast || image.names.length === 0) {
    const users = usage(image.id);
    if (users.length > 0 && !isForced) throw inUse(image, text, users);
    if (name === undefined && digest === undefined && !isForced) checkRepositories(image);
    return removeAll(store, image);
  }
  if (name !== undefined) return removeName(store, image, name);
  return removeDigest(store, image, digest ?? "");
}

function removeAll(store: Store, image: Image): RemovedImage {
  const isOurs = membership(store, image);
  store.update((entries) => entries.filter((entry) => !isOurs(entry)));
  const names = [...image.names, ...image.repoDigests];
  return { untagged: names.map((each) => familiarName(parseReference(each))), deleted: [image.id] };
}

function removeName(store: Store, image: Image, name: string): RemovedImage {
  const isOurs = membership(store, image);
  store.update((entries) =>
    withoutDoubles(
      entries.map((entry) => (isOurs(entry) && entry.name === name ? unnamed(entry) : entry)),
    ).filter((entry) => entry.name !== undefined || !isOurs(entry) || entry.source !== undefined),
  );
  return { untagged: [familiarName(parseReference(name))], deleted: [] };
}

/** Tags stay, but no longer say where they are from. */
function removeDigest(store: Store, image: Image, text: string): RemovedImage {
  const isOurs = membership(store, image);
  const repository = repositoryName(parseReference(text));
  const isMeant = (entry: ImageEntry) => isOurs(entry) && entry.repository === repository;
  store.update((entries) =>
    entries
      .filter((entry) => !isMeant(entry) || isTagged(entry))
      .map((entry) => (isMeant(entry) ? { ...entry, repository: undefined, source: undefined } : entry)),
  );
  return { untagged: [familiarName(parseReference(text))], deleted: [] };
}

function isTagged({ name }: ImageEntry): boolean {
  return name !== undefined && !name.includes("@");
}

function unnamed(entry: ImageEntry): ImageEntry {
  return { ...entry, name: undefined };
}

/** Whether an entry is of an image: several manifests may have the same config. */
function membership(store: Store, image: Image): (entry: ImageEntry) => boolean {
  const entries = store.entries();
  const facts = knownFacts(store, entries);
  const digests = new Set(
    entries.filter((_, at) => facts[at]?.id === image.id).map(({ manifest }) => manifest.digest),
  );
  return ({ manifest }) => digests.has(manifest.digest);
}

function checkRepositories(image: Image): void {
  const repositories = new Set(image.names.map((name) => repositoryName(parseReference(name))));
  if (repositories.size <= 1) return;
  throw fail({
    code: "IN_USE",
    message: `cannot remove image ${shortID(image.id)}: it has names in ${repositories.size} repositories`,
    hint: "remove the names one by one, or all of them with --force",
  });
}

function inUse(image: Image, text: string, users: readonly string[]): CtrError {
  return fail({
    code: "IN_USE",
    message: `cannot remove image ${text}: ${users.length === 1 ? "container" : "containers"} ${users.join(", ")} made from ${shortID(image.id)}`,
    hint: "remove what uses it first, or use --force, which leaves the containers as they are",
  });
}
