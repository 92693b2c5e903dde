/**
 * What has to happen before the directories of a new container's cgroup are made: the cgroup that holds all of
 * ctr-bun's is there, and the container's own is not in use. Not here: making the container's own (steps of the plan,
 * so that they are undone).
 */
import { fail } from "../../src/error.ts";
import { check } from "../../src/kernel/check.ts";
import { O_DIRECTORY, O_PATH } from "../../src/kernel/constants.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { close, tryMkdir, tryOpen } from "../../src/kernel/file.ts";
import { cgroupProcesses } from "./tree.ts";

/** Arguments of the action `prepare`. */
export interface Prepare {
  /** Made where they are missing, and kept: they are not one container's. */
  readonly home: readonly string[];
  /** Refused when they exist and hold processes. */
  readonly own: readonly string[];
}

/** `isFrozen` says of one of the container's directories whether whatever is put into it would stand still. */
export function prepareCgroups({ home, own }: Prepare, isFrozen: (path: string) => boolean): void {
  for (const path of home) {
    const result = tryMkdir(path, 0o755);
    if (result !== -ERRNO.EEXIST) check(result, { syscall: "mkdir", path, field: "linux.cgroupsPath" });
  }
  for (const path of own) {
    const fd = tryOpen(path, O_PATH | O_DIRECTORY);
    if (fd < 0) continue;
    close(fd);
    const pids = cgroupProcesses(path);
    if (pids.length === 0) {
      if (isFrozen(path)) throw frozen(path);
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
