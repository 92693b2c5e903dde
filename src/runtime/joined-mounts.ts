/**
 * Whose a mount namespace is that a container joins: mounts made in the host's own would take its root away. Nothing is
 * changed. Not here: entering it (plan/stage0.ts), looking into it (view.ts).
 */
import type { Host } from "../driver.ts";
import { fail } from "../error.ts";
import { MNT_NS_INIT_INO } from "../kernel/constants.ts";
import { type FileStatus, statusOf } from "../kernel/file.ts";
import type { JoinedMounts } from "../plan/input.ts";
import { UNKNOWN_OWNER_HINT } from "../plan/refuse.ts";
import type { MountsIn } from "../plan/step.ts";

const OWN = "/proc/self/ns/mnt";
const FIRST = "/proc/1/ns/mnt";

/** The namespace's file; undefined: there is none, or ctr-bun may not look at it. */
function lookAt(path: string): FileStatus | undefined {
  try {
    return statusOf(path, undefined, 0);
  } catch {
    return undefined;
  }
}

/** Whether the first mount namespace has a number of its own (enum init_ns_ino of linux/nsfs.h). */
function hasNumbers({ kernelVersion: [major, minor] }: Pick<Host, "kernelVersion">): boolean {
  return major > 6 || (major === 6 && minor >= 18);
}

/** `unknown`: it is not ctr-bun's, and may be that of PID 1, which cannot be looked at. */
function ownerOf({ ino }: FileStatus, numbered: boolean, first: string): JoinedMounts["owner"] {
  const own = lookAt(OWN);
  if (own === undefined) return "unknown";
  // All files of namespaces lie in one file system: their inodes tell them apart.
  if (ino === own.ino) return "ctr-bun";
  const firsts = lookAt(first)?.ino;
  if (ino === firsts || ino === MNT_NS_INIT_INO) return "PID 1";
  return firsts === undefined && !numbered ? "unknown" : "other";
}

/**
 * What an open file of a mount namespace says of it. `first` leads to the namespace of PID 1, which takes CAP_SYS_PTRACE.
 */
export function joinedMounts(fd: number, host: Pick<Host, "kernelVersion">, first = FIRST): JoinedMounts {
  const numbered = hasNumbers(host);
  const status = statusOf("", fd);
  // Numbers of namespaces have 32 bits (struct ns_common).
  return status === undefined
    ? { inode: 0, numbered, owner: "unknown" }
    : { inode: Number(status.ino), numbered, owner: ownerOf(status, numbered, first) };
}

/**
 * Refuses an open namespace in which mounts are to be made, unless it is the one that the plan was made for, and not the
 * host's: since then the path may have come to lead elsewhere.
 */
export function needPlanned(fd: number, path: string, planned: MountsIn, first = FIRST): void {
  const status = statusOf("", fd);
  if (status === undefined || planned.inode === undefined || Number(status.ino) !== planned.inode) {
    throw fail({
      code: "INVALID_CONFIG",
      message: "the path leads to another mount namespace than when the container was planned",
      path,
      hint: "what keeps the namespace has ended or was replaced: try again when it stays",
    });
  }
  const owner = ownerOf(status, planned.numbered, first);
  if (owner === "other") return;
  throw fail({
    code: "INVALID_CONFIG",
    message:
      owner === "unknown"
        ? "whether the mount namespace is that of PID 1 cannot be seen, and mounts in it would change the host"
        : `mounts in the mount namespace of ${owner} would change the host`,
    path,
    hint: owner === "unknown" ? UNKNOWN_OWNER_HINT : "leave the namespace's path out for a new one",
  });
}
