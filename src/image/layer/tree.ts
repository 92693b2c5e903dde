/**
 * The directory that a layer is unpacked into: what is known of it while that goes on.
 * Not here: finding a path's directory (places.ts), and what entries do (entries.ts, whiteouts.ts).
 */

import { trySetTimes } from "../../kernel/attributes.ts";
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFCHR,
} from "../../kernel/constants.ts";
import { type Stat, statAt, tryResolveAt } from "../../kernel/directory.ts";
import { close } from "../../kernel/file.ts";
import { trySetXattr } from "../../kernel/xattr.ts";
import { type Attributes, DEFAULT_ACL, setAttributes } from "./metadata.ts";

/** A directory in the tree: a descriptor, and the path of it that has no symbolic links. */
export interface Place {
  readonly fd: number;
  readonly path: string;
}

/** What is put on a directory when all below it is done. */
export interface DirectoryEnd {
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Whether the layer has an entry for it; else it was there, or came up from a lower layer. */
  readonly own: boolean;
  readonly defaultAcl: Uint8Array | undefined;
}

/** The state of one unpacking. */
export interface Tree {
  readonly overlay: boolean;
  readonly root: Place;
  /** Root directories of the layers below, topmost first; undefined: not asked for yet. */
  lowers: readonly number[] | undefined;
  /** Directories by the path that entries call them by. */
  readonly places: Map<string, Place>;
  /** Descriptors that may still be in use until the entry at hand is done. */
  readonly closing: number[];
  readonly directories: Map<string, DirectoryEnd>;
  /** Overlay: directories that hide what is below them. */
  readonly opaque: Set<string>;
  /** Overlay: files that came up from lower layers, to be linked to. */
  readonly copied: Set<string>;
  /** Plain tree: what this layer made, directories apart. */
  readonly own: Set<string>;
  /** How many directories were made without an entry of the layer. */
  implied: number;
  /** Bytes of default ACLs that are kept for the end. */
  deferred: number;
}

const RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
/** How a directory is opened to stand in it. */
export const OPEN_PLACE = O_PATH | O_DIRECTORY | O_NOFOLLOW;
/** Descriptors kept open: more would not be used again soon. */
const PLACES_LIMIT = 100;

/** Overlay's mark for "removed": a character device with the number 0:0. */
export function isWhiteout(stat: Stat): boolean {
  return stat.type === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

/** Descriptor of a directory by its path without links, or -errno. */
export function openPhysical(tree: Tree, path: string, flags: number): number {
  return tryResolveAt(tree.root.fd, path, flags, RESOLVE);
}

/** Keeps a place for the next entries. */
export function remember(tree: Tree, path: string, place: Place): Place {
  if (tree.places.size >= PLACES_LIMIT) forgetPlaces(tree);
  notice(tree, place);
  tree.places.set(path, place);
  return place;
}

/** To be called when a directory or a link went away: paths may lead elsewhere now. */
export function forgetPlaces(tree: Tree): void {
  for (const place of tree.places.values()) tree.closing.push(place.fd);
  tree.places.clear();
}

/** Closes what nothing uses any more. */
export function closePlaces(tree: Tree): void {
  for (const fd of tree.closing) close(fd);
  tree.closing.length = 0;
}

/** A directory that was there keeps its times, whatever is made in it: they are noted before that. */
export function notice(tree: Tree, { fd, path }: Place): void {
  if (tree.directories.has(path)) return;
  const stat = statAt(fd);
  if (stat === undefined) return;
  const { seconds, nanoseconds } = stat;
  tree.directories.set(path, { seconds, nanoseconds, own: false, defaultAcl: undefined });
}

/** Default ACLs that are kept for the end; beyond it they are set at once, and files made later inherit them. */
const DEFERRED_LIMIT = 1 << 22;

/** A directory's attributes now, and what must wait until all below it is done. `own`: the layer has an entry for it. */
export function settleDirectory(
  tree: Tree,
  fd: number,
  path: string,
  attributes: Attributes,
  own: boolean,
): void {
  const { seconds, nanoseconds } = attributes;
  let { xattrs } = attributes;
  let defaultAcl = xattrs?.get(DEFAULT_ACL);
  if (xattrs !== undefined && defaultAcl !== undefined) {
    tree.deferred += defaultAcl.byteLength;
    if (tree.deferred > DEFERRED_LIMIT) defaultAcl = undefined;
    else xattrs = new Map([...xattrs].filter(([name]) => name !== DEFAULT_ACL));
  }
  if (!own) tree.implied++;
  setAttributes(fd, { ...attributes, xattrs }, path);
  tree.directories.set(path, { seconds, nanoseconds, own, defaultAcl });
}

/** The end of an unpacking: directories get their times, now that nothing is made in them any more. */
export function settleTimes(tree: Tree): void {
  for (const [path, { seconds, nanoseconds, defaultAcl }] of tree.directories) {
    const fd = openPhysical(tree, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    // Gone, or no directory any more: a later entry replaced it.
    if (fd < 0) continue;
    if (defaultAcl !== undefined) trySetXattr(fd, DEFAULT_ACL, defaultAcl);
    trySetTimes(fd, seconds, nanoseconds);
    close(fd);
  }
}

/** The state at the beginning. `root` stays the caller's to close. */
export function newTree(root: number, overlay: boolean, lowers: readonly number[] | undefined): Tree {
  const tree: Tree = {
    overlay,
    root: { fd: root, path: "" },
    lowers,
    places: new Map(),
    closing: [],
    directories: new Map(),
    opaque: new Set(),
    copied: new Set(),
    own: new Set(),
    implied: 0,
    deferred: 0,
  };
  notice(tree, tree.root);
  return tree;
}
