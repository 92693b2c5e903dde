/**
 * What has to happen before the directories of a new container's cgroup are made: the cgroup that holds all of
 * ctr-bun's is there, and the container's own is not in use. Not here: making the container's own (steps of the plan,
 * so that they are undone).
 */
import { fail } from "../../src/error.ts";
import { check } from "../../src/kernel/check.ts";
import { O_DIRECTORY, O_PATH } from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close, readTextIfAny, tryMkdir, tryOpen } from "../../src/kernel/file.ts";
import { cgroupProcesses } from "./tree.ts";

/** Arguments of the action `prepare`. */
export interface Prepare {
  /** Made where they are missing, and kept: they are not one container's. */
  readonly home: readonly string[];
  /** Refused when they exist and hold processes. */
  readonly own: readonly string[];
  /** The one of `own` that holds devices, where all of those are to be allowed. */
  readonly allDevices?: string | undefined;
}

/**
 * `isFrozen` says of one of the container's directories whether whatever is put into it would stand still. `allowAll`
 * takes away what an earlier container has left of rules for devices in one that is there: a new one has none.
 */
export function prepareCgroups(
  { home, own, allDevices }: Prepare,
  isFrozen: (path: string) => boolean,
  allowAll: (path: string) => void,
): void {
  for (const path of home) {
    const result = tryMkdir(path, 0o755);
    if (result !== -ERRNO.EEXIST) check(result, { syscall: "mkdir", path, field: "linux.cgroupsPath" });
  }
  for (const path of own) {
    const fd = tryOpen(path, O_PATH | O_DIRECTORY);
    if (fd === -ERRNO.ENOTDIR) throw notDirectory(path);
    if (fd < 0) continue;
    close(fd);
    const pids = cgroupProcesses(path);
    if (pids.length === 0) {
      if (isFrozen(path)) throw frozen(path);
      const inner = (readTextIfAny(`${path}/cgroup.subtree_control`) ?? "").trim();
      if (inner !== "") throw innerCgroup(path, inner);
      if (path === allDevices) allowAll(path);
      continue;
    }
    // runc's words, which engines show.
    throw fail({
      code: "CGROUP_BUSY",
      field: "linux.cgroupsPath",
      message: `container's cgroup is not empty: ${pids.length} process(es) found`,
      path,
      hint: "another container has the same cgroupsPath, or processes of an earlier one are left in it",
    });
  }
}

/** Making it would fail as if it were there already. */
function notDirectory(path: string): Error {
  return fail({
    code: "INVALID_CONFIG",
    field: "linux.cgroupsPath",
    message: "leads to a file of a cgroup, not to a cgroup",
    path,
    hint: "choose another cgroupsPath",
  });
}

/** In runc's words. */
function frozen(path: string): Error {
  return fail({
    code: "CGROUP_BUSY",
    field: "linux.cgroupsPath",
    message: "container's cgroup unexpectedly frozen",
    path,
    hint: "thaw it, or choose another cgroupsPath",
  });
}

/** "No Internal Process Constraint" of Documentation/admin-guide/cgroup-v2.rst. */
function innerCgroup(path: string, controllers: string): Error {
  return fail({
    code: "CGROUP_BUSY",
    field: "linux.cgroupsPath",
    message: `the cgroup has controllers for its children (${controllers}), so it can hold no process itself`,
    path: `${path}/cgroup.subtree_control`,
    hint: "choose a cgroupsPath below it",
  });
}

/** For a person who is told by errno that a cgroup could not be made. */
export const MAKE_HINTS = {
  EROFS: "the cgroup file system is mounted read-only here, as in a container that is not to make cgroups",
  EACCES: "that part of the tree was not delegated to this user: give a cgroupsPath below one that was",
  EPERM: "that part of the tree was not delegated to this user: give a cgroupsPath below one that was",
  EAGAIN: "a cgroup above allows no more below it (cgroup.max.descendants, cgroup.max.depth)",
};
