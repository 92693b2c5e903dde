/**
 * Names of images in the store: giving one, which takes it from whoever has it. Not here: looking them up (images.ts).
 */
import type { ImageEntry, Store } from "./store/store.ts";

/** Puts an entry into the list of images. Whether that changed what any name stands for. */
export function nameImage(store: Store, entry: ImageEntry): boolean {
  const isThere = (each: ImageEntry) => each.name === entry.name && isSame(each, entry);
  if (store.entries().some(isThere)) return false;
  store.update((entries) => withName(entries, entry));
  return true;
}

/** The list with `entry` in it: another image with its name loses it, and stays as long as nothing else names it. */
export function withName(entries: readonly ImageEntry[], entry: ImageEntry): ImageEntry[] {
  const others = entries
    .filter((each) => each.name !== entry.name || each.manifest.digest !== entry.manifest.digest)
    .map((each) => (each.name === entry.name ? { ...each, name: undefined } : each));
  return withoutDoubles([...others, entry]);
}

/** An entry without a name is of use only where no other says the same. */
export function withoutDoubles(entries: readonly ImageEntry[]): ImageEntry[] {
  return entries.filter(
    (entry, at) =>
      entry.name !== undefined ||
      !entries.some(
        (each, where) => where !== at && isSame(each, entry) && (each.name !== undefined || where < at),
      ),
  );
}

function isSame(one: ImageEntry, other: ImageEntry): boolean {
  return (
    one.manifest.digest === other.manifest.digest &&
    one.repository === other.repository &&
    one.source === other.source
  );
}
