/**
 * The layers below an overlay's upper directory: finding a name in them as overlayfs would, and bringing it up.
 * Not here: walking a path through upper and lower layers (tree.ts).
 */
import { check } from "../../kernel/check.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
} from "../../kernel/constants.ts";
import {
  readlinkAt,
  type Stat,
  shownName,
  statAt,
  tryMkdirAt,
  tryMknodAt,
  tryOpenAt,
  trySymlinkAt,
  tryUnlinkAt,
} from "../../kernel/directory.ts";
import { close, tryRead, writeAll } from "../../kernel/file.ts";
import { trySetXattr, xattrIs, xattrsAt } from "../../kernel/xattr.ts";
import { setAttributes, setAttributesAt } from "./metadata.ts";
import { joinPath } from "./names.ts";
import { isWhiteout, type Place, settleDirectory, type Tree } from "./tree.ts";

const OPAQUE = "trusted.overlay.opaque";

/** A name in a lower layer. */
export interface LowerFile {
  /** The directory in which it stands, and its name there. */
  readonly dirfd: number;
  readonly name: string;
  readonly stat: Stat;
  close(): void;
}

/** What a name in a directory of the merged view is below the upper layer; undefined where it is nothing. */
export function findLower(tree: Tree, parent: string, name: string): LowerFile | undefined {
  if (tree.lowers === undefined || tree.lowers.length === 0 || hidden(tree, parent)) return undefined;
  const parts = parent === "" ? [name] : [...parent.split("/"), name];
  for (const layer of tree.lowers) {
    const found = findIn(layer, parts);
    if (found === "hidden") return undefined;
    if (found !== "none") return found;
  }
  return undefined;
}

/** Whether a directory of the upper layer, or one above it, is opaque. */
function hidden(tree: Tree, path: string): boolean {
  if (tree.opaque.size === 0) return false;
  if (tree.opaque.has("")) return true;
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    if (tree.opaque.has(path.slice(0, at))) return true;
  }
  return tree.opaque.has(path);
}

/** `none`: look in the next layer; `hidden`: this layer hides what is below. */
function findIn(layer: number, parts: readonly string[]): LowerFile | "none" | "hidden" {
  let dirfd = layer;
  let opaque = false;
  const leave = <T>(answer: T): T => {
    if (dirfd !== layer) close(dirfd);
    return answer;
  };
  for (const [index, name] of parts.entries()) {
    // Not at a layer's root: overlayfs always merges those.
    if (index > 0) opaque ||= xattrIs(dirfd, OPAQUE, "y");
    const stat = statAt(dirfd, name);
    if (stat === undefined) return leave(opaque ? "hidden" : "none");
    if (isWhiteout(stat)) return leave("hidden");
    if (index === parts.length - 1) {
      const found = dirfd;
      return { dirfd, name, stat, close: () => (found === layer ? undefined : close(found)) };
    }
    if (stat.type !== S_IFDIR) return leave("hidden");
    const next = tryOpenAt(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    leave(undefined);
    dirfd = check(next, { syscall: "openat", path: shownName(name) });
  }
  return leave("none");
}

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** Makes a directory that must not exist yet, and opens it. */
export function makeDirectory(place: Place, name: string): number {
  const path = shownName(joinPath(place.path, name));
  check(tryMkdirAt(place.fd, name, 0o700), { syscall: "mkdirat", path });
  return check(tryOpenAt(place.fd, name, DIRECTORY), { syscall: "openat", path });
}

/** A directory that a path needs and no layer has: root's, 0755, and of 1970, so that a layer is always the same. */
export function makeImplied(tree: Tree, place: Place, name: string): number {
  const path = joinPath(place.path, name);
  const fd = makeDirectory(place, name);
  const attributes = { mode: 0o755, uid: 0, gid: 0, seconds: 0, nanoseconds: 0, xattrs: undefined };
  settleDirectory(tree, fd, path, attributes, false);
  return fd;
}

/** As {@link makeImplied} where this layer removed the name: nothing of it may shine through. */
export function makeOverWhiteout(tree: Tree, place: Place, name: string): number {
  check(tryUnlinkAt(place.fd, name), { syscall: "unlinkat", path: shownName(joinPath(place.path, name)) });
  const fd = makeImplied(tree, place, name);
  markOpaque(tree, fd, joinPath(place.path, name));
  return fd;
}

/** Makes a directory of the upper layer hide what the layers below have in its place. */
export function markOpaque(tree: Tree, fd: number, path: string): void {
  if (!tree.overlay || tree.lowers?.length === 0) return;
  check(trySetXattr(fd, OPAQUE, Buffer.from("y")), {
    syscall: "fsetxattr",
    path: shownName(path),
    message: "cannot mark a directory as opaque",
    hint: "trusted.overlay.* attributes need CAP_SYS_ADMIN and a file system that has them",
  });
  tree.opaque.add(path);
}

/** A directory of a lower layer in the upper one: owner, mode, attributes and times. Closes `lower`. */
export function copyDirectoryUp(tree: Tree, place: Place, name: string, lower: LowerFile): number {
  const path = joinPath(place.path, name);
  const fd = makeDirectory(place, name);
  const xattrs = xattrsAt(lower.dirfd, lower.name);
  lower.close();
  settleDirectory(tree, fd, path, { ...lower.stat, xattrs }, false);
  return fd;
}

/** A file of a lower layer in the upper one, to be linked to. Closes `lower`. */
export function copyFileUp(tree: Tree, place: Place, name: string, lower: LowerFile): void {
  const { stat } = lower;
  const path = joinPath(place.path, name);
  const shown = shownName(path);
  const attributes = { ...stat, xattrs: xattrsAt(lower.dirfd, lower.name) };
  try {
    if (stat.type === S_IFREG) {
      const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
      const from = check(tryOpenAt(lower.dirfd, lower.name, flags), { syscall: "openat", path: shown });
      const create = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
      const to = tryOpenAt(place.fd, name, create, 0o600);
      try {
        copyContents(from, check(to, { syscall: "openat", path: shown }), shown);
        setAttributes(to, attributes, path);
      } finally {
        close(from);
        if (to >= 0) close(to);
      }
    } else if (stat.type === S_IFLNK) {
      const target = readlinkAt(lower.dirfd, lower.name) ?? "";
      check(trySymlinkAt(target, place.fd, name), { syscall: "symlinkat", path: shown });
      setAttributesAt(place.fd, name, attributes, true, path);
    } else {
      const made = tryMknodAt(place.fd, name, stat.type | 0o600, stat.rdevMajor, stat.rdevMinor);
      check(made, { syscall: "mknodat", path: shown });
      setAttributesAt(place.fd, name, attributes, false, path);
    }
  } finally {
    lower.close();
  }
  tree.copied.add(path);
}

function copyContents(from: number, to: number, path: string): void {
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (;;) {
    const n = check(tryRead(from, buffer), { syscall: "read", path });
    if (n === 0) return;
    writeAll(to, buffer.subarray(0, n), path);
  }
}
