/**
 * One layer into one directory: stream in, files out, digest checked.
 * What lives here: the run over a layer from first byte to last. Not here: fetching it (registry), naming the
 * directory (a snapshotter), decompressing, reading tar and making files (the files beside this one).
 */
import { fail } from "../../error.ts";
import { check } from "../../kernel/check.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY, SEEK_SET } from "../../kernel/constants.ts";
import { namesIn, removeChildren, shownName } from "../../kernel/directory.ts";
import { close, open } from "../../kernel/file.ts";
import { sys } from "../../kernel/raw.ts";
import { parseDigest } from "../../spec/image/digest.ts";
import { decompress } from "./decompress.ts";
import { makeDirectoryEntry, makeFile, makeLink, makeNode, makeSymlink, setRoot } from "./entries.ts";
import { DEFAULT_LIMITS, invalidLayer, type LayerLimits, overLimit, RATIO_FROM } from "./limits.ts";
import { setAttributes } from "./metadata.ts";
import { targetOf } from "./names.ts";
import { findPlace } from "./places.ts";
import { type TarReader, tarReader } from "./tar.ts";
import type { TarEntry } from "./tar-entry.ts";
import { closePlaces, forgetPlaces, newTree, settleTimes, type Tree } from "./tree.ts";
import { applyOpaque, applyWhiteout } from "./whiteouts.ts";

/** How far an unpacking is. */
export interface UnpackProgress {
  /** Uncompressed bytes so far. */
  readonly bytes: number;
  readonly entries: number;
}

/** What {@link unpackLayer} needs. */
export interface UnpackOptions {
  /** The layer's blob, as the registry gave it (compressed or not). */
  readonly source: AsyncIterable<Uint8Array>;
  readonly mediaType: string;
  /** Absolute path of the directory to unpack into. For `overlay` it must be empty: it is the layer's own. */
  readonly rootPath: string;
  /**
   * `overlay`: rootPath is an upper directory; removals are written as overlayfs reads them.
   * `remove`: rootPath is a whole tree that the layer is applied to; what it removes is removed.
   */
  readonly whiteouts: "overlay" | "remove";
  /**
   * With `overlay`: directories of the layers below, topmost first. They are asked for only if the layer needs
   * them (a path whose parents it does not bring itself, a hard link to a file of a lower layer), so that layers
   * can be unpacked side by side: the function waits until the layers below are done.
   */
  readonly lower?: readonly string[] | (() => Promise<readonly string[]>);
  /** Digest that the uncompressed stream must have. */
  readonly diffID?: string | undefined;
  readonly limits?: Partial<LayerLimits>;
  readonly onProgress?: (progress: UnpackProgress) => void;
}

/** What was unpacked. */
export interface UnpackResult {
  /** sha256 of the uncompressed stream (of the algorithm of the given diffID, if one was given). */
  readonly diffID: string;
  /** Bytes of the uncompressed stream. */
  readonly size: number;
  readonly entries: number;
}

/** The run over one layer. */
interface Run {
  readonly options: UnpackOptions;
  readonly limits: LayerLimits;
  readonly tree: Tree;
  readonly reader: TarReader;
  readonly lowerDescriptors: number[];
  entries: number;
  /** The file that is being written, and where its next byte goes. */
  file: { readonly fd: number; readonly path: string; at: number } | undefined;
}

/**
 * Unpacks one layer. On any error nothing is kept in an overlay directory; a tree that a layer was being applied to
 * (`remove`) is left half done, for the caller to throw away.
 * @throws CtrError INVALID_LAYER, LAYER_LIMIT, DIGEST_MISMATCH, SYSCALL, and whatever the source throws.
 */
export async function unpackLayer(options: UnpackOptions): Promise<UnpackResult> {
  const overlay = options.whiteouts === "overlay";
  const root = open(options.rootPath, O_RDONLY | O_DIRECTORY);
  if (overlay && namesIn(root).length > 0) {
    close(root);
    throw fail({
      code: "INVALID_ARGUMENT",
      message: "a layer is unpacked into an empty directory",
      path: options.rootPath,
    });
  }
  const lower = overlay ? (options.lower ?? []) : [];
  const run: Run = {
    options,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    tree: newTree(root, overlay, undefined),
    reader: tarReader(),
    lowerDescriptors: [],
    entries: 0,
    file: undefined,
  };
  try {
    if (typeof lower !== "function") openLowers(run, lower);
    const result = await readLayer(run);
    settleTimes(run.tree);
    return result;
  } catch (error) {
    closeFile(run);
    if (overlay) discard(root);
    throw error;
  } finally {
    forgetPlaces(run.tree);
    closePlaces(run.tree);
    for (const fd of run.lowerDescriptors) close(fd);
    close(root);
  }
}

/** The error that is on its way matters more than one of the cleaning up. */
function discard(root: number): void {
  check(sys("lseek", root, 0, SEEK_SET), { syscall: "lseek" });
  try {
    removeChildren(root);
  } catch {
    // What is left is in a directory that the caller throws away.
  }
}

function openLowers(run: Run, paths: readonly string[]): void {
  for (const path of paths) run.lowerDescriptors.push(open(path, O_PATH | O_DIRECTORY));
  run.tree.lowers = run.lowerDescriptors;
}

/** Reads the stream to its end, past the archive's: the digest is of all bytes. */
async function readLayer(run: Run): Promise<UnpackResult> {
  const { options, limits, reader } = run;
  const algorithm = options.diffID === undefined ? "sha256" : parseDigest(options.diffID).algorithm;
  const hash = new Bun.CryptoHasher(algorithm);
  const compressed = { bytes: 0 };
  let size = 0;
  let ended = false;
  for await (const chunk of decompress(counted(options.source, compressed), options.mediaType)) {
    size += chunk.byteLength;
    if (size > limits.bytes) throw overLimit(`it has more than ${limits.bytes} bytes`);
    if (size > RATIO_FROM && size > compressed.bytes * limits.ratio) {
      throw overLimit(`it was compressed more than ${limits.ratio} times`);
    }
    hash.update(chunk);
    if (!ended) {
      reader.feed(chunk);
      ended = await readEvents(run);
    }
    options.onProgress?.({ bytes: size, entries: run.entries });
  }
  reader.finish();
  const diffID = `${algorithm}:${hash.digest("hex")}`;
  if (options.diffID !== undefined && diffID !== options.diffID) {
    throw fail({
      code: "DIGEST_MISMATCH",
      message: `the layer's contents have digest ${diffID}, but the image says ${options.diffID}`,
      hint: "the image is damaged or was tampered with",
    });
  }
  return { diffID, size, entries: run.entries };
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  count: { bytes: number },
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    count.bytes += chunk.byteLength;
    yield chunk;
  }
}

/** Takes from the reader what the last chunk gave. True at the archive's end. Awaits only the layers below. */
async function readEvents(run: Run): Promise<boolean> {
  const { reader } = run;
  for (;;) {
    switch (reader.next()) {
      case "more":
        return false;
      case "end":
        return true;
      case "entry":
        if (begin(run, reader.entry) === "wait") {
          await lowersOf(run);
          begin(run, reader.entry);
        }
        break;
      case "data":
        if (run.file !== undefined) write(run.file, reader.data, reader.offset);
        break;
      case "close":
        if (run.file !== undefined) endFile(run, reader.entry);
        closePlaces(run.tree);
    }
  }
}

async function lowersOf(run: Run): Promise<void> {
  const { lower } = run.options;
  openLowers(run, typeof lower === "function" ? await lower() : (lower ?? []));
}

/** Does what an entry says; of a file, its beginning. `wait`: nothing was done yet, the layers below are needed. */
function begin(run: Run, entry: TarEntry): "wait" | "done" {
  const { tree, limits } = run;
  const target = targetOf(entry.name);
  if (target.kind === "root") setRoot(tree, entry);
  if (target.kind !== "root" && target.kind !== "ignored") {
    const place = findPlace(tree, target.parent, target.kind === "entry");
    if (place === "wait") return "wait";
    if (place !== "missing") {
      if (target.kind === "opaque") {
        if (applyOpaque(tree, place) === "wait") return "wait";
      } else if (target.kind === "whiteout") applyWhiteout(tree, place, target.base);
      else if (entry.type === "file") {
        if (entry.size > limits.fileSize) throw overLimit(`a file of ${entry.size} bytes`, entry.name);
        run.file = { fd: makeFile(tree, place, target.base), path: entry.name, at: 0 };
      } else if (entry.type === "directory") makeDirectoryEntry(tree, place, target.base, entry, target.path);
      else if (entry.type === "symlink") makeSymlink(tree, place, target.base, entry);
      else if (entry.type === "hardlink") {
        if (makeLink(tree, place, target.base, entry) === "wait") return "wait";
      } else makeNode(tree, place, target.base, { ...entry, type: entry.type });
    }
  }
  if (++run.entries > limits.entries) throw overLimit(`it has more than ${limits.entries} entries`);
  return "done";
}

function write(
  file: { readonly fd: number; readonly path: string; at: number },
  data: Uint8Array,
  offset: number,
) {
  if (offset !== file.at) {
    const moved = sys("lseek", file.fd, offset, SEEK_SET);
    if (moved < 0) check(moved, { syscall: "lseek", path: shownName(file.path) });
  }
  for (let done = 0; done < data.byteLength; ) {
    const rest = done === 0 ? data : data.subarray(done);
    const n = sys("write", file.fd, rest, rest.byteLength);
    if (n < 0) check(n, { syscall: "write", path: shownName(file.path) });
    done += n;
  }
  file.at = offset + data.byteLength;
}

function endFile(run: Run, entry: TarEntry): void {
  const { file } = run;
  if (file === undefined) return;
  if (entry.sparse) {
    check(sys("ftruncate", file.fd, entry.size), { syscall: "ftruncate", path: shownName(entry.name) });
  } else if (file.at !== entry.size) throw invalidLayer("it is shorter than its header says", entry.name);
  setAttributes(file.fd, entry, entry.name);
  closeFile(run);
}

function closeFile(run: Run): void {
  if (run.file !== undefined) close(run.file.fd);
  run.file = undefined;
}
