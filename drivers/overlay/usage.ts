/**
 * How much a directory tree takes: blocks and inodes, hard links once.
 */
import type { SnapshotUsage } from "../../src/driver.ts";
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR } from "../../src/kernel/constants.ts";
import { namesIn, statAt, tryOpenAt } from "../../src/kernel/directory.ts";
import { open, withFd } from "../../src/kernel/file.ts";

/** Usage of the tree below a directory, itself left out: an empty layer takes nothing. */
export function treeUsage(path: string): SnapshotUsage {
  const linked = new Set<number>();
  let bytes = 0;
  let inodes = 0;
  const visit = (fd: number): void => {
    for (const name of namesIn(fd)) {
      const stat = statAt(fd, name);
      if (stat === undefined) continue;
      if (stat.type !== S_IFDIR && stat.nlink > 1) {
        if (linked.has(stat.inode)) continue;
        linked.add(stat.inode);
      }
      bytes += stat.blocks * 512;
      inodes++;
      if (stat.type !== S_IFDIR) continue;
      const child = tryOpenAt(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (child >= 0) withFd(child, visit);
    }
  };
  withFd(open(path, O_RDONLY | O_DIRECTORY), visit);
  return { bytes, inodes };
}
