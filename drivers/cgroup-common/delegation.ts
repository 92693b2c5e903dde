/**
 * An ordinary user's container without a cgroupsPath has a cgroup where one was delegated to that user, and none where
 * none was (as in runc); a limit that then has no cgroup to be held by is an error. Pure.
 */
import type { Host } from "../../src/driver.ts";
import { type CtrError, fail } from "../../src/error.ts";
import type { CgroupPath } from "./path.ts";
import type { Setting } from "./setting.ts";

/** Whether the container has a cgroup in a hierarchy, by its key in {@link HostCgroup.own}. */
export function hasCgroupIn({ home }: CgroupPath, { cgroup: { delegated } }: Host, key: string): boolean {
  return !home || delegated === undefined || delegated.includes(key);
}

/** The error of a limit in a hierarchy of which nothing was delegated. `directory`: where the cgroup would be made. */
export function notDelegated({ field, file }: Setting, directory: string, hint: string): CtrError {
  return fail({
    code: "CGROUP",
    field: `linux.resources.${field}`,
    message: `cannot set ${file}: this user may make no cgroup in ${directory}`,
    path: directory,
    errno: "EACCES",
    hint,
  });
}

/** The way out on a host with cgroup v2 alone. */
export const DELEGATE_UNIFIED =
  "have one delegated: --systemd-cgroup where the user has a systemd of its own, or systemd-run --user --scope -p Delegate=yes; root may give the user a directory of the tree (chown), or leave the limit out";
/** The same where v1 controllers are mounted. */
export const DELEGATE_LEGACY =
  "root may give the user a directory there (chown) and the shell in it (cgroup.procs), or give linux.cgroupsPath one; or leave the limit out";
