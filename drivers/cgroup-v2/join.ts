/**
 * Joining the cgroup of a running container on v2, for exec.
 */
import type { CgroupJoin } from "../../src/driver.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY } from "../../src/kernel/constants.ts";
import { open, readAll, readTextIfAny, tryOpenBeneath, withFd } from "../../src/kernel/file.ts";
import { openStep, UNIFIED } from "./plan.ts";

/** The container's cgroup, or the one `below` it, is joined by clone3. */
export function planJoin(directory: string, below: string | undefined): CgroupJoin {
  return { before: [openStep(directory, below)], join: [], cloneInto: `cgroup.${UNIFIED}` };
}

/**
 * What is joined below the container's cgroup; undefined: that itself. A cgroup whose children have controllers takes no
 * processes of its own (EBUSY): that is so when the container's init (systemd, say) has made cgroups and moved itself into
 * one. Then, as in runc, it is the init's cgroup that is joined.
 */
export function joinTarget(directory: string, initPid: number | undefined): string | undefined {
  if (initPid === undefined) return undefined;
  const inner = (readTextIfAny(`${directory}/cgroup.subtree_control`) ?? "").trim() !== "";
  return inner ? initBelow(directory, initPid) : undefined;
}

/** Where below the container's cgroup its init is. The names are the container's, so what they lead to is looked at. */
function initBelow(directory: string, initPid: number): string | undefined {
  const line = (readTextIfAny(`/proc/${initPid}/cgroup`) ?? "")
    .split("\n")
    .find((one) => one.startsWith("0::"));
  if (line === undefined) return undefined;
  const path = line.slice(3);
  return withFd(open(directory, O_PATH | O_DIRECTORY), (container) => {
    // The part of the tree that is mounted may start anywhere below its root: what is left behind any slash may be it.
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
      const below = path.slice(at + 1);
      if (below !== "" && holds(container, below, initPid)) return below;
    }
    return undefined;
  });
}

function holds(container: number, below: string, pid: number): boolean {
  const fd = tryOpenBeneath(container, `${below}/cgroup.procs`, O_RDONLY);
  if (fd < 0) return false;
  return withFd(fd, (file) => {
    try {
      return new TextDecoder().decode(readAll(file)).split("\n").includes(`${pid}`);
    } catch {
      // EOPNOTSUPP: a cgroup of threads, which takes no further process.
      return false;
    }
  });
}
