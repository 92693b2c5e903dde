/**
 * Removals: whiteouts and opaque directories (image-spec layer.md, "Whiteouts"). They hold for the layers below only:
 * what this layer brings stays, wherever in the archive the whiteout stands.
 */
import { check } from "../../kernel/check.ts";
import {
  AT_REMOVEDIR,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
} from "../../kernel/constants.ts";
import { namesIn, shownName, statAt, tryMknodAt, tryOpenAt, tryUnlinkAt } from "../../kernel/directory.ts";
import { withFd } from "../../kernel/file.ts";
import { markOpaque } from "./lower.ts";
import { joinPath } from "./names.ts";
import { forgetPlaces, isWhiteout, type Place, type Tree } from "./tree.ts";

/** Removes a name of the layers below. */
export function applyWhiteout(tree: Tree, place: Place, base: string): void {
  const path = joinPath(place.path, base);
  const stat = statAt(place.fd, base);
  if (stat === undefined) {
    // With nothing below there is nothing to remove, and a lone layer would show the mark itself.
    if (tree.overlay && tree.lowers?.length !== 0) mark(place, base, path);
    return;
  }
  if (stat.type === S_IFDIR) {
    const fd = openDirectory(place, base, path);
    const kept = withFd(fd, (directory) => {
      const own = dropForeign(tree, directory, path) || tree.directories.get(path)?.own === true;
      if (own) markOpaque(tree, directory, path);
      return own;
    });
    if (kept) return;
    forgetPlaces(tree);
    check(tryUnlinkAt(place.fd, base, AT_REMOVEDIR), { syscall: "unlinkat", path: shownName(path) });
  } else {
    if (isOwn(tree, path)) return;
    if (tree.overlay && isWhiteout(stat)) return;
    if (stat.type === S_IFLNK) forgetPlaces(tree);
    check(tryUnlinkAt(place.fd, base), { syscall: "unlinkat", path: shownName(path) });
    tree.copied.delete(path);
  }
  if (tree.overlay && tree.lowers?.length !== 0) mark(place, base, path);
}

/** Removes all that the layers below have in a directory. `wait`: they are needed for that. */
export function applyOpaque(tree: Tree, place: Place): "wait" | "done" {
  if (tree.opaque.has(place.path)) return "done";
  if (tree.overlay && place.path === "") return applyOpaqueRoot(tree, place);
  const fd = openDirectory(place, ".", place.path);
  withFd(fd, (directory) => {
    markOpaque(tree, directory, place.path);
    // In an upper directory there is something foreign only if it was brought up from below.
    if (tree.overlay && tree.copied.size === 0 && tree.implied === 0) return;
    dropForeign(tree, directory, place.path);
    forgetPlaces(tree);
  });
  return "done";
}

/** overlayfs merges the roots of its layers, whatever their attributes say: each name has to be removed by itself. */
function applyOpaqueRoot(tree: Tree, place: Place): "wait" | "done" {
  if (tree.lowers === undefined) return "wait";
  const names = new Set<string>();
  for (const lower of tree.lowers) {
    const fd = openDirectory({ fd: lower, path: "" }, ".", "");
    for (const name of withFd(fd, namesIn)) names.add(name);
  }
  for (const name of names) applyWhiteout(tree, place, name);
  tree.opaque.add("");
  return "done";
}

function mark(place: Place, base: string, path: string): void {
  check(tryMknodAt(place.fd, base, S_IFCHR), {
    syscall: "mknodat",
    path: shownName(path),
    message: "cannot mark a name as removed",
    hint: "overlay whiteouts are device nodes, which need CAP_MKNOD and a file system that takes them",
  });
}

function openDirectory(place: Place, base: string, path: string): number {
  return check(tryOpenAt(place.fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), {
    syscall: "openat",
    path: shownName(path),
  });
}

/** Whether this layer made what is no directory and no whiteout. */
function isOwn(tree: Tree, path: string): boolean {
  return tree.overlay ? !tree.copied.has(path) : tree.own.has(path);
}

/** Removes what is not this layer's from a directory; whether something is left. */
function dropForeign(tree: Tree, fd: number, parent: string): boolean {
  let left = false;
  for (const name of namesIn(fd)) {
    const path = joinPath(parent, name);
    const stat = statAt(fd, name);
    if (stat === undefined) continue;
    if (stat.type === S_IFDIR) {
      const child = openDirectory({ fd, path: parent }, name, path);
      const kept = withFd(child, (directory) => dropForeign(tree, directory, path));
      if (kept || tree.directories.get(path)?.own === true) left = true;
      else check(tryUnlinkAt(fd, name, AT_REMOVEDIR), { syscall: "unlinkat", path: shownName(path) });
    } else if (isOwn(tree, path) && !(tree.overlay && isWhiteout(stat))) left = true;
    else {
      check(tryUnlinkAt(fd, name), { syscall: "unlinkat", path: shownName(path) });
      tree.copied.delete(path);
    }
  }
  return left;
}
