/** What a plan needs to know of a bind mount's source. Nothing is changed. Not here: destinations (facts.ts). */
import { fail } from "../error.ts";
import { O_DIRECTORY, O_NOFOLLOW, O_PATH, S_IFDIR } from "../kernel/constants.ts";
import { statAt, tryOpenAt } from "../kernel/directory.ts";
import { close, readlink, statusOf, tryOpen, withFd } from "../kernel/file.ts";
import { xattrIn } from "../kernel/xattr.ts";
import type { Mount } from "../spec/runtime/config.ts";
import { NOWHERE, type View } from "./view.ts";

/** What is at a place of the container's tree: a directory's descriptor, or a fresh, empty file system. */
export interface Layer {
  /** Absolute inside the root. */
  readonly at: string;
  /** Of its mount in the config, -1 for the root file system. */
  readonly index: number;
  /** undefined: fresh and empty. */
  readonly fd: number | undefined;
}

/** A bind mount's source, and what ctr-bun sees of it. */
interface Source {
  /** Absolute. */
  readonly source: string;
  readonly file: boolean;
  /** It lies in an earlier mount of the config. */
  readonly covered: boolean;
  /** Leads to it; undefined: an earlier mount of the config has yet to make it. */
  readonly seen: string | undefined;
}

/** What sources are looked for in. */
export interface Surroundings {
  readonly bundle: string;
  readonly rootfs: string;
  readonly layers: readonly Layer[];
  readonly view: View;
  /** What was opened for {@link Source.seen}; to be closed. */
  readonly opened: number[];
}

/** Where in a directory a path lies: `.` is the directory itself; undefined: not below it, or it is not plain. */
function placeIn(directory: string, path: string): string | undefined {
  const [above = [], parts = []] = [directory, path].map((one) =>
    one.split("/").filter((part) => part !== "" && part !== "."),
  );
  if (above.length === 0 || parts.includes("..") || above.some((part, index) => part !== parts[index]))
    return undefined;
  return ["", ...parts.slice(above.length)].join("/") || "/";
}

/** The path that the kernel knows a file by. */
function realPath(path: string): string | undefined {
  const fd = tryOpen(path, O_PATH);
  return fd < 0 ? undefined : withFd(fd, (open) => readlink(`/proc/self/fd/${open}`));
}

/**
 * A bind mount's source: absolute, and there. One in the root file system is looked for in what the mounts before it
 * put there: that is what will be bound. `follow`: also where only links lead there.
 */
export function lookAtSource(mount: Mount, field: string, around: Surroundings, follow: boolean): Source {
  const { bundle, rootfs, layers, view } = around;
  const given = mount.source ?? "";
  const source = given.startsWith("/") ? given : `${bundle}/${given}`;
  let place = placeIn(rootfs, source);
  if (place === undefined && follow) {
    const [root, real] = [realPath(view.see(rootfs)), realPath(view.see(source))];
    if (root !== undefined && real !== undefined) place = placeIn(root, real);
  }
  // A mount at / lies over all that is before it.
  const layer = layers.findLast(
    ({ at, index }) =>
      index >= 0 && place !== undefined && (at === "/" || place === at || place.startsWith(`${at}/`)),
  );
  const covered = layer !== undefined;
  if (covered && layer.fd === undefined) return { source, file: false, covered, seen: undefined };
  let seen = view.see(source);
  if (layer?.fd !== undefined && place !== undefined) {
    const fd = tryOpen(place.slice(layer.at === "/" ? 1 : layer.at.length + 1) || ".", O_PATH, 0, layer.fd);
    if (fd >= 0) around.opened.push(fd);
    seen = fd < 0 ? NOWHERE : `/proc/self/fd/${fd}`;
  }
  const status = statusOf(seen, undefined, 0);
  if (status === undefined) {
    throw fail({
      code: "NOT_FOUND",
      field: `${field}.source`,
      message: "the source of the bind mount does not exist",
      syscall: "statx",
      path: source,
      errno: "ENOENT",
      hint: "make it, or correct the path",
    });
  }
  return { source, file: status.type !== S_IFDIR, covered, seen };
}

/**
 * Whether somebody may be kept from a path: by a directory on the way without the search bit for all, or with an access
 * control list. Links are taken for closed: where they lead was not looked at.
 */
export function isClosed(path: string, root = "/"): boolean {
  const parts = path.split("/").filter((part) => part !== "");
  parts.pop();
  let at = tryOpenAt(-1, root, O_PATH | O_DIRECTORY);
  try {
    for (const part of ["", ...parts]) {
      const next = part === "" ? at : tryOpenAt(at, part, O_PATH | O_NOFOLLOW);
      if (next < 0) return true;
      if (next !== at) close(at);
      at = next;
      const status = statAt(at);
      if (status?.type !== S_IFDIR || (status.mode & 1) === 0) return true;
      if (xattrIn(at, "system.posix_acl_access")) return true;
    }
    return false;
  } finally {
    close(at);
  }
}

/** Type of the file system that a path lies in, as mountinfo names it. */
export function fileSystemOf(path: string, mountinfo: string): string | undefined {
  const id = statusOf(path, undefined, 0)?.mountID;
  const line = mountinfo.split("\n").find((one) => one.startsWith(`${id} `));
  return line?.split(" - ", 2)[1]?.split(" ", 1)[0];
}
