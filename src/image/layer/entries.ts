/**
 * What one entry does to the tree: the file, directory, link or device is made, in place of what was there
 * (image-spec layer.md, "Changeset over existing files"). Not here: removals (whiteouts.ts), finding the directory
 * (tree.ts), contents (unpack.ts writes them to the descriptor that is given back).
 */
import { check } from "../../kernel/check.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
} from "../../kernel/constants.ts";
import {
  removeTreeAt,
  shownName,
  statAt,
  tryLinkAt,
  tryMkdirAt,
  tryMknodAt,
  tryOpenAt,
  trySymlinkAt,
  tryUnlinkAt,
} from "../../kernel/directory.ts";
import { ERRNO } from "../../kernel/errno.ts";
import { close } from "../../kernel/file.ts";
import { tryRemoveXattr, xattrsAt } from "../../kernel/xattr.ts";
import { invalidLayer } from "./limits.ts";
import { copyFileUp, findLower, markOpaque } from "./lower.ts";
import { isLayerXattr, setAttributesAt } from "./metadata.ts";
import { cleanPath, joinPath, splitPath } from "./names.ts";
import { findPlace } from "./places.ts";
import type { TarEntry } from "./tar-entry.ts";
import { forgetPlaces, isWhiteout, type Place, remember, settleDirectory, type Tree } from "./tree.ts";

/** Takes away what stands in an entry's place. */
function clear(tree: Tree, place: Place, base: string): void {
  const stat = statAt(place.fd, base);
  if (stat === undefined) return;
  const path = joinPath(place.path, base);
  if (stat.type === S_IFDIR) removeTreeAt(place.fd, base);
  else check(tryUnlinkAt(place.fd, base), { syscall: "unlinkat", path: shownName(path) });
  if (stat.type === S_IFDIR || stat.type === S_IFLNK) forgetPlaces(tree);
  tree.copied.delete(path);
}

/** Makes something, and if its place is taken, clears it and makes it again. */
function make(tree: Tree, place: Place, base: string, syscall: string, attempt: () => number): number {
  let result = attempt();
  if (result === -ERRNO.EEXIST) {
    clear(tree, place, base);
    result = attempt();
  }
  if (result < 0) check(result, { syscall, path: shownName(joinPath(place.path, base)) });
  if (!tree.overlay) tree.own.add(joinPath(place.path, base));
  return result;
}

const CREATE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

/** A new, empty file; its attributes are set when its contents are there. */
export function makeFile(tree: Tree, place: Place, base: string): number {
  return make(tree, place, base, "openat", () => tryOpenAt(place.fd, base, CREATE, 0o600));
}

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** A directory, new or already there; in both cases with the entry's attributes alone. */
export function makeDirectoryEntry(
  tree: Tree,
  place: Place,
  base: string,
  entry: TarEntry,
  name: string,
): void {
  const path = joinPath(place.path, base);
  const shown = { syscall: "mkdirat", path: shownName(path) } as const;
  let there = false;
  let replaced = false;
  const made = tryMkdirAt(place.fd, base, 0o700);
  if (made === -ERRNO.EEXIST) {
    there = statAt(place.fd, base)?.type === S_IFDIR;
    if (!there) {
      clear(tree, place, base);
      check(tryMkdirAt(place.fd, base, 0o700), shown);
      replaced = true;
    }
  } else if (made < 0) check(made, shown);
  const fd = check(tryOpenAt(place.fd, base, DIRECTORY), shown);
  if (there) dropXattrs(fd);
  // What stood here hid the layers below (a whiteout, or a file of this very layer), and so must the directory.
  if (replaced) markOpaque(tree, fd, path);
  settleDirectory(tree, fd, path, entry, true);
  if (tree.places.has(name)) close(fd);
  else remember(tree, name, { fd, path });
}

/** The root's own entry, `./`. */
export function setRoot(tree: Tree, entry: TarEntry): void {
  if (entry.type !== "directory") throw invalidLayer("the root is no directory", entry.name);
  dropXattrs(tree.root.fd);
  settleDirectory(tree, tree.root.fd, "", entry, true);
}

function dropXattrs(fd: number): void {
  for (const name of xattrsAt(fd, ".").keys()) if (isLayerXattr(name)) tryRemoveXattr(fd, name);
}

/** A symbolic link. Where it leads is the container's business; nothing here follows it. */
export function makeSymlink(tree: Tree, place: Place, base: string, entry: TarEntry): void {
  if (entry.link === "") throw invalidLayer("a symbolic link to nothing", entry.name);
  make(tree, place, base, "symlinkat", () => trySymlinkAt(entry.link, place.fd, base));
  setAttributesAt(place.fd, base, entry, true, joinPath(place.path, base));
}

const NODE_TYPES = { character: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;

/** A device or a fifo. A character device 0:0 means "removed" to overlayfs, and only whiteouts may say that. */
export function makeNode(
  tree: Tree,
  place: Place,
  base: string,
  entry: TarEntry & { readonly type: keyof typeof NODE_TYPES },
): void {
  const { devMajor, devMinor } = entry;
  if (entry.type === "character" && devMajor === 0 && devMinor === 0) return;
  if (devMajor < 0 || devMajor > 0xfff || devMinor < 0 || devMinor > 0xfffff) {
    throw invalidLayer(`device number ${devMajor}:${devMinor} does not exist`, entry.name);
  }
  const major = entry.type === "fifo" ? 0 : devMajor;
  const minor = entry.type === "fifo" ? 0 : devMinor;
  const mode = NODE_TYPES[entry.type] | 0o600;
  make(tree, place, base, "mknodat", () => tryMknodAt(place.fd, base, mode, major, minor));
  setAttributesAt(place.fd, base, entry, false, joinPath(place.path, base));
}

/**
 * A hard link. Its target is another file of this layer, or one of a layer below, which is brought up first: the two
 * names then share one file, as they would had the layer been applied to the whole tree. The entry's own attributes
 * are the target's, and not set again. `wait`: the layers below are needed.
 */
export function makeLink(tree: Tree, place: Place, base: string, entry: TarEntry): "wait" | "done" {
  const target = splitPath(cleanPath(entry.link));
  if (target.base === "") throw invalidLayer("a hard link to the root", entry.name);
  const from = findPlace(tree, target.parent, true);
  if (from === "wait") return "wait";
  if (from === "missing") throw noTarget(entry);
  const found = linkable(tree, from, target.base, entry);
  if (found === "wait") return "wait";
  if (from.path === place.path && target.base === base) return "done";
  make(tree, place, base, "linkat", () => tryLinkAt(from.fd, target.base, place.fd, base));
  return "done";
}

function linkable(tree: Tree, from: Place, base: string, entry: TarEntry): "wait" | "done" {
  const stat = statAt(from.fd, base);
  if (stat === undefined) {
    if (tree.lowers === undefined) return "wait";
    const lower = findLower(tree, from.path, base);
    if (lower === undefined) throw noTarget(entry);
    if (lower.stat.type === S_IFDIR) {
      lower.close();
      throw invalidLayer("a hard link to a directory", entry.name);
    }
    copyFileUp(tree, from, base, lower);
    return "done";
  }
  if (stat.type === S_IFDIR) throw invalidLayer("a hard link to a directory", entry.name);
  if (tree.overlay && isWhiteout(stat)) throw noTarget(entry);
  return "done";
}

function noTarget(entry: TarEntry) {
  return invalidLayer(`a hard link to ${shownName(entry.link)}, which does not exist`, entry.name);
}
