/**
 * Where paths of a config are looked at before the container is made: in ctr-bun's own mount namespace, or in the one
 * that the container joins. Not here: what is looked for (facts.ts, customs.ts).
 */
import type { Host } from "../driver.ts";
import { asCtrError } from "../error.ts";
import {
  CLONE_NEWNS,
  MNT_NS_INIT_INO,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
} from "../kernel/constants.ts";
import { close, type FileStatus, readText, statusOf, tryOpen, tryOpenat2 } from "../kernel/file.ts";
import type { PlanFacts } from "../plan/input.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { namespaceType } from "./namespace-file.ts";

/** A mount namespace to look into. */
export interface View {
  /** A path by which ctr-bun reaches what this absolute path leads to there. Links on the way are followed there. */
  see(path: string): string;
  /** Its mounts (proc_pid_mountinfo(5)). */
  mountinfo(): string;
  /** Lets go of it: what {@link see} gave leads nowhere any more. */
  close(): void;
}

/** A path that leads nowhere, whatever there is. */
export const NOWHERE = "/proc/self/fd/none";

/** ctr-bun's own. */
const OWN_VIEW: View = {
  see: (path) => path,
  mountinfo: () => readText("/proc/self/mountinfo"),
  close: () => undefined,
};

/** That of another mount namespace, by its root directory. */
function viewBelow(root: number, mountinfo: string): View {
  const held = [root];
  return {
    see(path) {
      const fd = tryOpenat2(root, path, O_PATH, 0, RESOLVE_IN_ROOT);
      if (fd < 0) return NOWHERE;
      held.push(fd);
      return `/proc/self/fd/${fd}`;
    },
    mountinfo: () => mountinfo,
    close() {
      for (const fd of held.splice(0)) close(fd);
    },
  };
}

/** The file that a path leads to; undefined: there is none, or ctr-bun may not look at it. */
function lookAt(path: string): FileStatus | undefined {
  try {
    return statusOf(path, undefined, 0);
  } catch (error) {
    if (asCtrError(error).errno === "EACCES") return undefined;
    throw error;
  }
}

function isSame(one: FileStatus | undefined, other: FileStatus | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.ino === other.ino && one.devMajor === other.devMajor && one.devMinor === other.devMinor;
}

const OWN = "/proc/self/ns/mnt";

function joinedPath({ linux }: RuntimeConfig): string | undefined {
  return linux?.namespaces?.find(({ type }) => type === "mount")?.path;
}

/** The view of a container to be; to be closed. A joined namespace that cannot be entered is an error here. */
export function viewFor(config: RuntimeConfig, arch: Host["arch"]): View {
  const path = joinedPath(config);
  if (path === undefined || isSame(lookAt(path), lookAt(OWN))) return OWN_VIEW;
  const fd = tryOpen(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return OWN_VIEW;
  try {
    // What is no mount namespace is refused when it is opened for the init.
    if (namespaceType(fd) !== CLONE_NEWNS) return OWN_VIEW;
    const { lookInto } = require("./helper.ts") as typeof import("./helper.ts");
    const { root, mountinfo } = lookInto(fd, arch);
    return viewBelow(root, mountinfo);
  } finally {
    close(fd);
  }
}

/**
 * Whose the joined mount namespace is. Who may not look at PID 1 may not enter its namespace by /proc/1 either; should a
 * path lead there nevertheless, a kernel since 6.18 gives the first namespace away by its number.
 */
export function mountNamespaceOf(config: RuntimeConfig): PlanFacts["mountNamespaceOf"] {
  const path = joinedPath(config);
  const joined = path === undefined ? undefined : lookAt(path);
  if (joined === undefined) return undefined;
  if (isSame(joined, lookAt(OWN))) return "ctr-bun";
  return isSame(joined, lookAt("/proc/1/ns/mnt")) || joined.ino === MNT_NS_INIT_INO ? "PID 1" : undefined;
}
