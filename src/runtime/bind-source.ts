/** What a plan needs to know of a bind mount's source. Nothing is changed. Not here: destinations (facts.ts). */
import { fail } from "../error.ts";
import { O_DIRECTORY, O_NOFOLLOW, O_PATH, PROC_SUPER_MAGIC, S_IFDIR } from "../kernel/constants.ts";
import { statAt, tryOpenAt } from "../kernel/directory.ts";
import { close, readText, statusOf } from "../kernel/file.ts";
import { cString, viewOf } from "../kernel/memory.ts";
import { sys } from "../kernel/raw.ts";
import { xattrIn } from "../kernel/xattr.ts";
import type { Mount } from "../spec/runtime/config.ts";

/** A bind mount's source: absolute, and there. */
export function lookAtSource(mount: Mount, bundle: string, field: string): { source: string; file: boolean } {
  const given = mount.source ?? "";
  const source = given.startsWith("/") ? given : `${bundle}/${given}`;
  const status = statusOf(source, undefined, 0);
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
  return { source, file: status.type !== S_IFDIR };
}

/** Whether a path lies in a procfs: f_type is the first word of struct statfs (statfs(2)). */
export function isProcfs(path: string): boolean {
  const status = new Uint8Array(120);
  if (sys("statfs", cString(path), status) < 0) return false;
  return viewOf(status).getUint32(0, true) === PROC_SUPER_MAGIC;
}

/**
 * Whether somebody may be kept from a path: by a directory on the way without the search bit for all, or with an access
 * control list. Links are taken for closed: where they lead was not looked at.
 */
export function isClosed(path: string): boolean {
  const parts = path.split("/").filter((part) => part !== "");
  parts.pop();
  let at = tryOpenAt(-1, "/", O_PATH | O_DIRECTORY);
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
export function fileSystemOf(path: string): string | undefined {
  const id = statusOf(path, undefined, 0)?.mountID;
  const line = readText("/proc/self/mountinfo")
    .split("\n")
    .find((one) => one.startsWith(`${id} `));
  return line?.split(" - ", 2)[1]?.split(" ", 1)[0];
}
