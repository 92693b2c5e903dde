/**
 * Owner, mode, extended attributes and times of one file, in the order in which none undoes another: chown takes
 * set-user-ID bits and file capabilities away, so mode and attributes come after it; any change moves the times.
 */
import {
  tryChmod,
  tryChmodAt,
  tryChown,
  tryChownAt,
  trySetTimes,
  trySetTimesAt,
} from "../../kernel/attributes.ts";
import { check } from "../../kernel/check.ts";
import { shownName } from "../../kernel/directory.ts";
import { ERRNO } from "../../kernel/errno.ts";
import { trySetXattr, trySetXattrAt } from "../../kernel/xattr.ts";

/** What a file has besides its contents. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined;
}

/** Inherited by what is made in a directory, and so set when all is made. */
export const DEFAULT_ACL = "system.posix_acl_default";

/**
 * Whether a layer may set an attribute. `trusted.overlay.*` and `user.overlay.*` steer overlayfs itself (redirects
 * to other directories, opaqueness) and would let a layer show what is not its own; SELinux labels and NFS ACLs are
 * the host's business (umoci and Podman leave them out too).
 */
export function isLayerXattr(name: string): boolean {
  return (
    !name.startsWith("trusted.overlay.") &&
    !name.startsWith("user.overlay.") &&
    name !== "security.selinux" &&
    name !== "system.nfs4_acl"
  );
}

/** Sets all of it on a descriptor that is open for writing or is a directory. `path` is for messages. */
export function setAttributes(fd: number, attributes: Attributes, path: string): void {
  const { uid, gid, mode, xattrs } = attributes;
  const owned = tryChown(fd, uid, gid);
  if (owned < 0) failed(owned, "fchown", path);
  const moded = tryChmod(fd, mode);
  if (moded < 0) failed(moded, "fchmod", path);
  if (xattrs !== undefined) {
    for (const [name, value] of xattrs) {
      if (isLayerXattr(name)) attributeSet(trySetXattr(fd, name, value), path, false);
    }
  }
  const timed = trySetTimes(fd, attributes.seconds, attributes.nanoseconds);
  if (timed < 0) failed(timed, "utimensat", path);
}

/** Sets all of it on what cannot be opened: a symbolic link (which has no mode), a device, a fifo. */
export function setAttributesAt(
  dirfd: number,
  base: string,
  attributes: Attributes,
  link: boolean,
  path: string,
): void {
  const { uid, gid, mode, xattrs } = attributes;
  const owned = tryChownAt(dirfd, base, uid, gid);
  if (owned < 0) failed(owned, "fchownat", path);
  if (!link) {
    const moded = tryChmodAt(dirfd, base, mode);
    if (moded < 0) failed(moded, "fchmodat", path);
  }
  for (const [name, value] of xattrs ?? []) {
    if (isLayerXattr(name))
      attributeSet(trySetXattrAt(dirfd, base, name, value), path, name.startsWith("user."));
  }
  const timed = trySetTimesAt(dirfd, base, attributes.seconds, attributes.nanoseconds);
  if (timed < 0) failed(timed, "utimensat", path);
}

/** A file system without such attributes is no error, as in containerd; nor are `user.` ones where xattr(7) has none. */
function attributeSet(result: number, path: string, special: boolean): void {
  if (result >= 0 || result === -ERRNO.EOPNOTSUPP || (special && result === -ERRNO.EPERM)) return;
  failed(result, "setxattr", path);
}

function failed(result: number, syscall: string, path: string): never {
  check(result, { syscall, path: shownName(path) });
  throw new Error("unreachable: check() throws on a negative result");
}
