/**
 * A directory tree as lines of text, to compare one with another: names, types, modes, owners, times, attributes,
 * link targets, devices, hard links, contents. Links are not followed.
 */
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFLNK, S_IFREG } from "../../src/kernel/constants.ts";
import { namesIn, readlinkAt, statAt, tryOpenAt } from "../../src/kernel/directory.ts";
import { close, open, readAll } from "../../src/kernel/file.ts";
import { xattrsAt } from "../../src/kernel/xattr.ts";

/** What of a file is compared. */
export interface ListingOptions {
  /** Leave the modification times of these paths out. */
  readonly anyTime?: (path: string) => boolean;
  /** Attributes that are not listed. */
  readonly ignoreXattr?: (name: string) => boolean;
}

/** One line for every file below a directory, sorted by path; the first is the directory itself (`.`). */
export function listTree(root: string, options: ListingOptions = {}): string[] {
  const lines: string[] = [];
  const groups = new Map<number, string>();
  const visit = (dirfd: number, name: string, path: string): void => {
    const stat = statAt(dirfd, name);
    if (stat === undefined) return;
    const parts = [path, (stat.type >> 12).toString(8), stat.mode.toString(8), `${stat.uid}:${stat.gid}`];
    if (options.anyTime?.(path) !== true)
      parts.push(`${stat.seconds}.${String(stat.nanoseconds).padStart(9, "0")}`);
    if (stat.type === S_IFREG) parts.push(`${stat.size}`, contents(dirfd, name));
    else if (stat.type === S_IFLNK) parts.push(`-> ${readlinkAt(dirfd, name)}`);
    else if (stat.type !== S_IFDIR) parts.push(`${stat.rdevMajor}:${stat.rdevMinor}`);
    if (stat.type !== S_IFDIR && stat.nlink > 1) {
      const first = groups.get(stat.inode) ?? path;
      groups.set(stat.inode, first);
      parts.push(`=${first}`);
    }
    for (const [key, value] of [...xattrsAt(dirfd, name)].sort()) {
      if (options.ignoreXattr?.(key) !== true) parts.push(`${key}=${Buffer.from(value).toString("hex")}`);
    }
    lines.push(parts.join(" "));
    if (stat.type !== S_IFDIR) return;
    const fd = tryOpenAt(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    for (const child of namesIn(fd).sort()) visit(fd, child, path === "." ? child : `${path}/${child}`);
    close(fd);
  };
  const fd = open(root, O_RDONLY | O_DIRECTORY);
  visit(fd, ".", ".");
  close(fd);
  return lines;
}

function contents(dirfd: number, name: string): string {
  const fd = tryOpenAt(dirfd, name, O_RDONLY | O_NOFOLLOW);
  const hash = new Bun.CryptoHasher("sha256").update(readAll(fd)).digest("hex");
  close(fd);
  return hash.slice(0, 16);
}
