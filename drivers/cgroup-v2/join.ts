/**
 * Joining the cgroup of a running container on v2, for exec.
 */
import type { CgroupJoin } from "../../src/driver.ts";
import { readTextIfAny } from "../../src/kernel/file.ts";
import { openStep, UNIFIED } from "./plan.ts";

/** The container's cgroup is joined by clone3. */
export function planJoin(directory: string, initPid: number | undefined): CgroupJoin {
  const step = openStep(joinTarget(directory, initPid));
  return { before: [step], join: [], cloneInto: `cgroup.${UNIFIED}` };
}

/**
 * A cgroup whose children have controllers takes no processes of its own (EBUSY): that is so when the container's init
 * (systemd, say) has made cgroups and moved itself into one. Then, as in runc, it is the init's cgroup that is joined.
 */
export function joinTarget(directory: string, initPid: number | undefined): string {
  if (initPid === undefined) return directory;
  const inner = (readTextIfAny(`${directory}/cgroup.subtree_control`) ?? "").trim() !== "";
  return inner ? (initCgroup(directory, initPid) ?? directory) : directory;
}

/** Directory of the init's own cgroup, if that is below the container's; the kernel, not the container, names it. */
function initCgroup(directory: string, initPid: number): string | undefined {
  const line = (readTextIfAny(`/proc/${initPid}/cgroup`) ?? "")
    .split("\n")
    .find((one) => one.startsWith("0::"));
  if (line === undefined) return undefined;
  const path = line.slice(3);
  // The part of the tree that is mounted may start below its root: the longest common tail of the one is in the other.
  for (let at = directory.indexOf("/", 1); at > 0; at = directory.indexOf("/", at + 1)) {
    const tail = directory.slice(at);
    const found = path.lastIndexOf(`${tail}/`);
    if (found >= 0) return `${directory}${path.slice(found + tail.length)}`;
  }
  return undefined;
}
