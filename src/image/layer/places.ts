/**
 * How a path of the layer finds its directory.
 *
 * For an overlay's upper directory a path must be looked up in the *merged* view, as if the layers below were there:
 * a parent may be a symbolic link of a lower layer, or a directory whose owner and mode have to be kept. The overlay
 * is not mounted for that: paths that the layer brings whole (nearly all) are found in the upper directory alone, by
 * one openat2 for a directory; the others are walked here, a component at a time. No step leaves the root: every
 * lookup is of a single name in a directory that was opened before, or openat2 with RESOLVE_BENEATH and NO_SYMLINKS.
 */
import { callError, check } from "../../kernel/check.ts";
import { S_IFDIR, S_IFLNK } from "../../kernel/constants.ts";
import { readlinkAt, shownName, statAt, tryOpenAt } from "../../kernel/directory.ts";
import { ERRNO } from "../../kernel/errno.ts";
import { close } from "../../kernel/file.ts";
import { invalidLayer, PATH_LIMIT } from "./limits.ts";
import { copyDirectoryUp, findLower, makeImplied, makeOverWhiteout } from "./lower.ts";
import { joinPath } from "./names.ts";
import { isWhiteout, notice, OPEN_PLACE, openPhysical, type Place, remember, type Tree } from "./tree.ts";

/** The other answers to a lookup: the layers below are needed first; there is no such directory. */
export type Lookup = Place | "wait" | "missing";

/** As many as the kernel follows (path_resolution(7)). */
const LINKS_LIMIT = 40;

/**
 * The directory that a clean path names. What is missing of it is made when `create` is set: from the lower layer
 * that has it, else as root's, with mode 0755.
 */
export function findPlace(tree: Tree, path: string, create: boolean): Lookup {
  if (path === "") return tree.root;
  const known = tree.places.get(path);
  if (known !== undefined) return known;
  const fd = openPhysical(tree, path, OPEN_PLACE);
  if (fd >= 0) return remember(tree, path, { fd, path });
  if (tree.lowers === undefined) return "wait";
  const place = walk(tree, path, create);
  return place === undefined ? "missing" : remember(tree, path, place);
}

function walk(tree: Tree, wanted: string, create: boolean): Place | undefined {
  let here = tree.root;
  let links = 0;
  const rest = wanted.split("/").reverse();
  const go = (fd: number, path: string) => {
    if (path.length > PATH_LIMIT) {
      close(fd);
      throw invalidLayer(`a path of more than ${PATH_LIMIT} bytes`, wanted);
    }
    if (here.fd !== tree.root.fd) tree.closing.push(here.fd);
    here = { fd, path };
  };
  const follow = (target: string) => {
    if (++links > LINKS_LIMIT) throw callError(ERRNO.ELOOP, { syscall: "openat", path: shownName(wanted) });
    if (target.startsWith("/")) here = goRoot();
    for (const part of target.split("/").reverse()) rest.push(part);
    if (rest.length > PATH_LIMIT) throw invalidLayer("a chain of links that is too long", wanted);
  };
  const goRoot = () => {
    if (here.fd !== tree.root.fd) tree.closing.push(here.fd);
    return tree.root;
  };
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (here.path === "") continue;
      const slash = here.path.lastIndexOf("/");
      if (slash < 0) here = goRoot();
      else {
        const path = here.path.slice(0, slash);
        go(check(openPhysical(tree, path, OPEN_PLACE), { syscall: "openat2", path: shownName(path) }), path);
      }
      continue;
    }
    const path = joinPath(here.path, name);
    const stat = statAt(here.fd, name);
    if (stat === undefined) {
      const lower = findLower(tree, here.path, name);
      if (lower === undefined) {
        if (!create) return leave(tree, here);
        notice(tree, here);
        go(makeImplied(tree, here, name), path);
      } else if (lower.stat.type === S_IFDIR) go(copyDirectoryUp(tree, here, name, lower), path);
      else {
        const target = lower.stat.type === S_IFLNK ? readlinkAt(lower.dirfd, name) : undefined;
        lower.close();
        if (target !== undefined) follow(target);
        // Nothing is below a file: what is only looked for there (a whiteout's name) is missing.
        else if (!create) return leave(tree, here);
        else throw notDirectory(wanted);
      }
    } else if (stat.type === S_IFDIR) {
      go(check(tryOpenAt(here.fd, name, OPEN_PLACE), { syscall: "openat", path: shownName(path) }), path);
    } else if (stat.type === S_IFLNK) follow(readlinkAt(here.fd, name) ?? "");
    else if (tree.overlay && isWhiteout(stat)) {
      if (!create) return leave(tree, here);
      go(makeOverWhiteout(tree, here, name), path);
    } else if (!create) return leave(tree, here);
    else throw notDirectory(wanted);
  }
  // The root's own descriptor stays open; a place in the cache has one of its own.
  return here.fd === tree.root.fd
    ? { fd: check(tryOpenAt(here.fd, ".", OPEN_PLACE), { syscall: "openat" }), path: "" }
    : here;
}

function leave(tree: Tree, here: Place): undefined {
  if (here.fd !== tree.root.fd) tree.closing.push(here.fd);
  return undefined;
}

function notDirectory(path: string) {
  return callError(ERRNO.ENOTDIR, { syscall: "openat", path: shownName(path) });
}
