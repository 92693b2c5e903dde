/** Which cgroup a directory is: one that is made anew at the same path has another inode, which the kernel never reuses. */
import { statusOf } from "../../src/kernel/file.ts";

/** The inodes of cgroups, by the keys of their paths; nothing of one that is not there. */
export function identifyCgroups(paths: Readonly<Record<string, string>>): Record<string, string> {
  const inodes: Record<string, string> = {};
  for (const [key, path] of Object.entries(paths)) {
    const status = statusOf(path);
    if (status !== undefined) inodes[key] = String(status.ino);
  }
  return inodes;
}
