/**
 * From `linux.cgroupsPath` to the container's directory in a hierarchy. Pure: nothing is looked at.
 *
 * As runc's cgroupfs manager has it (libcontainer/cgroups/fs/paths.go, fs2/defaultpath.go): an absolute path is below
 * the hierarchy's mount point; a relative one is below ctr-bun's own cgroup on v1, and beside it on v2, where a cgroup
 * that holds processes cannot have controllers for its children. Without a path it is `/ctr-bun/ID`.
 */
import type { CgroupRequest } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";

/** The cgroup that holds those of all containers without a path of their own. It is kept when they are gone. */
export const HOME = "ctr-bun";

/** PATH_MAX of include/uapi/linux/limits.h, without what is before it and behind it. */
const LONGEST = 4096 - 256;

/** The cleaned path of a container, before it is looked at in a hierarchy. */
export interface CgroupPath {
  readonly absolute: boolean;
  /** At least one. None is empty, `.` or `..`. */
  readonly parts: readonly string[];
  /** Whether it is the default one, below {@link HOME}. */
  readonly home: boolean;
  readonly warnings: readonly string[];
}

/** Reads the path that was asked for. `..` never leads above the root, as in runc: it is taken off lexically. */
export function readCgroupPath(request: CgroupRequest, rootless: boolean): CgroupPath {
  const given = request.cgroupsPath;
  if (given === undefined || given === "") {
    const id = cleanParts(request.id);
    if (id.length !== 1)
      throw fail({ code: "INVALID_CONFIG", message: `not an ID: ${JSON.stringify(request.id)}` });
    // An ordinary user may make cgroups only where they were delegated to: near their own.
    return { absolute: !rootless, parts: [HOME, ...id], home: true, warnings: [] };
  }
  if (given.includes("\0") || given.includes("\n")) {
    throw badPath(given, "must not contain a NUL byte or a newline");
  }
  if (given.length > LONGEST) {
    const message = `has ${given.length} characters, more than the path of a file can have`;
    throw fail({ code: "INVALID_CONFIG", field: "linux.cgroupsPath", message });
  }
  const parts = cleanParts(given);
  if (parts.length === 0) throw badPath(given, "names the root of the hierarchy");
  const slice = !given.includes("/") && given.split(":").length === 3;
  const warnings = slice
    ? [
        `linux.cgroupsPath: ${given} is in systemd's form (slice:prefix:name), and is taken as a plain path without --systemd-cgroup`,
      ]
    : [];
  return { absolute: given.startsWith("/"), parts, home: false, warnings };
}

/** Where in a hierarchy: `base` exists, `levels` are the directories below it, the container's own last. */
export interface CgroupPlace {
  readonly directory: string;
  readonly levels: readonly string[];
}

/** The container's directory below a mount point. `own` is ctr-bun's own cgroup in that hierarchy. */
export function placeCgroup(path: CgroupPath, mountPoint: string, own: string, version: 1 | 2): CgroupPlace {
  let directory = mountPoint;
  if (!path.absolute) {
    if (own.split("/").includes("..")) throw unknownOwn(mountPoint);
    const parts = cleanParts(own);
    if (version === 2) parts.pop();
    for (const part of parts) directory += `/${part}`;
  }
  const levels: string[] = [];
  for (const part of path.parts) {
    directory += `/${part}`;
    levels.push(directory);
  }
  return { directory, levels };
}

/** runc makes it at the root of the hierarchy, where no limit of ctr-bun's own cgroup holds. */
function unknownOwn(path: string): Error {
  return fail({
    code: "CGROUP",
    field: "linux.cgroupsPath",
    message: "is relative to ctr-bun's own cgroup, which cannot be told from within its cgroup namespace",
    path,
    hint: "give an absolute path, or mount the control groups anew in the cgroup namespace",
  });
}

/** Components of a path, cleaned lexically as below a root. */
export function cleanParts(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts;
}

function badPath(path: string, why: string): Error {
  return fail({
    code: "INVALID_CONFIG",
    field: "linux.cgroupsPath",
    message: `${JSON.stringify(path)} ${why}`,
  });
}
