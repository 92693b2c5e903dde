/**
 * What the names in a layer mean: paths below its root, and whiteouts (image-spec layer.md, "Whiteouts"). Names are
 * byte strings; nothing is looked up here.
 *
 * An absolute name is taken from the root, and `.` and `..` inside it are worked out in the text, as Docker,
 * containerd and umoci do. A name that leads out of the root, an empty one, and a whiteout of nothing are refused.
 */
import { invalidLayer } from "./limits.ts";

const WHITEOUT = ".wh.";
const META = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

/** What an entry's name is about. `parent` is a clean path, `""` for the root. */
export type Target =
  | { readonly kind: "entry"; readonly path: string; readonly parent: string; readonly base: string }
  | { readonly kind: "root" }
  /** `base` is the name that is removed. */
  | { readonly kind: "whiteout"; readonly parent: string; readonly base: string }
  | { readonly kind: "opaque"; readonly parent: string }
  /** Bookkeeping of aufs, which Docker's first layers were made from. */
  | { readonly kind: "ignored" };

/** A component that is empty, `.` or `..`. */
const UNCLEAN = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** A path from the root without empty, `.` and `..` components; `""` is the root. */
export function cleanPath(name: string): string {
  if (name === "") throw invalidLayer("an entry or link with an empty name");
  if (!UNCLEAN.test(name)) return name;
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) throw invalidLayer("its path leads out of the root", name);
    } else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** A clean path's directory and last component. */
export function splitPath(path: string): { parent: string; base: string } {
  const slash = path.lastIndexOf("/");
  return slash < 0
    ? { parent: "", base: path }
    : { parent: path.slice(0, slash), base: path.slice(slash + 1) };
}

/** A name in a directory, as a clean path. */
export function joinPath(parent: string, base: string): string {
  return parent === "" ? base : `${parent}/${base}`;
}

/** Takes an entry's name apart. Its type does not matter: a whiteout shipped as a link is still one. */
export function targetOf(name: string): Target {
  const path = cleanPath(name);
  if (path === "") return { kind: "root" };
  const { parent, base } = splitPath(path);
  if (path.includes(WHITEOUT)) {
    if (path.startsWith(META) && path !== OPAQUE) return { kind: "ignored" };
    if (parent.startsWith(WHITEOUT) || parent.includes(`/${WHITEOUT}`)) {
      throw invalidLayer("below a name that begins with .wh.", name);
    }
    if (base === OPAQUE) return { kind: "opaque", parent };
    if (base.startsWith(META)) return { kind: "ignored" };
    if (base.startsWith(WHITEOUT)) {
      const removed = base.slice(WHITEOUT.length);
      if (removed === "" || removed === "." || removed === "..") {
        throw invalidLayer("a whiteout that names nothing", name);
      }
      return { kind: "whiteout", parent, base: removed };
    }
  }
  return { kind: "entry", path, parent, base };
}
