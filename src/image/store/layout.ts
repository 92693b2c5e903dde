/**
 * The list of images: index.json of an OCI image layout, which is the one truth about what is in the store and which
 * other tools read as it is (image-spec image-layout.md). Names are `org.opencontainers.image.ref.name`.
 * Not here: blobs (blobs.ts).
 */
import { check } from "../../kernel/check.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../kernel/constants.ts";
import { open, readTextIfAny, replaceFile, statusOf, tryUnlink, withFd } from "../../kernel/file.ts";
import { sys } from "../../kernel/raw.ts";
import type { Descriptor } from "../../spec/image/descriptor.ts";
import { ImageIndex } from "../../spec/image/index.ts";
import { IMAGE_LAYOUT_VERSION, ImageLayout } from "../../spec/image/layout.ts";
import { INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX } from "../../spec/image/media-types.ts";
import { parseJson } from "../../spec/parse.ts";
import { withLock } from "./lock.ts";
import type { StorePaths } from "./paths.ts";

/** One entry of index.json: a manifest that is in the store, with or without a name. */
export interface ImageEntry {
  readonly manifest: Descriptor;
  /** Canonical name, `docker.io/library/debian:12`; undefined when another image has taken it. */
  readonly name: string | undefined;
  /** Where it came from: registry and repository, and the digest there (an index's, or the manifest's). */
  readonly repository: string | undefined;
  readonly source: string | undefined;
  /** RFC 3339. */
  readonly pulledAt: string | undefined;
}

const NAME = "org.opencontainers.image.ref.name";
const REPOSITORY = "ctr-bun.source.repository";
const SOURCE = "ctr-bun.source.digest";
const PULLED_AT = "ctr-bun.pulled-at";
/** A store has more images than a registry's index has manifests. */
const MAX_INDEX_BYTES = 64 << 20;
const KNOWN: ReadonlySet<string> = new Set([...MANIFEST_TYPES, ...INDEX_TYPES]);

/** The list of images of one store. */
export interface Layout {
  entries(): ImageEntry[];
  /** Changes the list under the store's lock, atomically and durably. */
  update(change: (entries: ImageEntry[]) => ImageEntry[]): void;
}

/** @param prepare makes the store's directories, once. */
export function openLayout(paths: StorePaths, prepare: () => void): Layout {
  /** The last list read, with what the file looked like: renaming always makes another inode or time. */
  let known: { stamp: string; descriptors: Descriptor[] } | undefined;

  function read(): Descriptor[] {
    const status = statusOf(paths.index);
    if (status === undefined) return [];
    const stamp = `${status.ino} ${status.mtime} ${status.size}`;
    if (known?.stamp === stamp) return known.descriptors;
    const layout = readTextIfAny(paths.layout);
    if (layout !== undefined) parseJson(ImageLayout, layout, paths.layout);
    const text = readTextIfAny(paths.index) ?? '{"schemaVersion":2,"manifests":[]}';
    const descriptors = parseJson(ImageIndex, text, paths.index, MAX_INDEX_BYTES).manifests;
    known = { stamp, descriptors };
    return descriptors;
  }

  return {
    entries: () =>
      read()
        .filter(({ mediaType }) => KNOWN.has(mediaType))
        .map(entryOf),
    update(change) {
      prepare();
      withLock(paths.indexLock, () => {
        known = undefined;
        const descriptors = read();
        // What others put there and we do not know stays as it is.
        const foreign = descriptors.filter(({ mediaType }) => !KNOWN.has(mediaType));
        const before = descriptors.filter(({ mediaType }) => KNOWN.has(mediaType)).map(entryOf);
        const manifests = [...change(before).map(descriptorOf), ...foreign];
        if (readTextIfAny(paths.layout) === undefined) {
          writeDurably(paths.layout, JSON.stringify({ imageLayoutVersion: IMAGE_LAYOUT_VERSION }));
        }
        const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
        writeDurably(paths.index, JSON.stringify(index));
        syncDirectory(paths.root);
        known = undefined;
      });
    },
  };
}

/** Under the lock, a temporary file of the same name is of a process that died. */
function writeDurably(path: string, text: string): void {
  tryUnlink(`${path}.${process.pid}.tmp`);
  replaceFile(path, new TextEncoder().encode(text), 0o600);
}

/** fsync(2) of a directory: what was renamed in it stays renamed. */
export function syncDirectory(path: string): void {
  withFd(open(path, O_RDONLY | O_DIRECTORY, 0, AT_FDCWD), (fd) => {
    check(sys("fsync", fd), { syscall: "fsync", path });
  });
}

function entryOf(descriptor: Descriptor): ImageEntry {
  const { [NAME]: name, [REPOSITORY]: repository, [SOURCE]: source, ...more } = descriptor.annotations ?? {};
  const { [PULLED_AT]: pulledAt, ...annotations } = more;
  const manifest = { ...descriptor, annotations };
  return { manifest, name, repository, source, pulledAt };
}

function descriptorOf({ manifest, name, repository, source, pulledAt }: ImageEntry): Descriptor {
  const ours = { [NAME]: name, [REPOSITORY]: repository, [SOURCE]: source, [PULLED_AT]: pulledAt };
  const annotations: Record<string, string> = { ...manifest.annotations };
  for (const [key, value] of Object.entries(ours)) if (value !== undefined) annotations[key] = value;
  return { ...manifest, annotations };
}
