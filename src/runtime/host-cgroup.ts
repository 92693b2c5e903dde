/**
 * How control groups are set up on this host, from two files of procfs (cgroups(7)): which hierarchies are mounted
 * where, and in which cgroup ctr-bun itself is. Not here: the rest of the host (host.ts), or any cgroup's files.
 */
import type { HostCgroup } from "../driver.ts";
import { AT_EACCESS, AT_FDCWD, W_OK } from "../kernel/constants.ts";
import { readText } from "../kernel/file.ts";
import { cString } from "../kernel/memory.ts";
import { mountPath } from "../kernel/mount.ts";
import { sys } from "../kernel/raw.ts";

/** Words among a v1 mount's options that are no controllers (cgroup1_show_options() of kernel/cgroup/cgroup-v1.c). */
const OTHER_OPTIONS = new Set([
  "rw",
  "ro",
  "none",
  "noprefix",
  "xattr",
  "clone_children",
  "cpuset_v2_mode",
  "favordynmods",
  "nofavordynmods",
]);

/** Reads both files; `rootless`: and looks at where cgroups were delegated to ctr-bun's user. */
export function probeCgroups(rootless = false): HostCgroup {
  const cgroup = readCgroups(readText("/proc/self/mountinfo"), readText("/proc/self/cgroup"));
  return rootless ? { ...cgroup, delegated: delegatedIn(cgroup) } : cgroup;
}

/**
 * Keys of hierarchies in which a cgroup may be made below our own (v2 alone: beside it), and a process of ours be moved
 * there: that takes writing to cgroup.procs of what is above both (cgroup-v2.rst, "Delegation Containment").
 */
function delegatedIn({ mode, unified, controllers, own }: HostCgroup): string[] {
  const keys: string[] = [];
  const add = (key: string, directory: string): void => {
    if (directory.split("/").includes("..")) return;
    if (mayWrite(directory) && mayWrite(`${directory}/cgroup.procs`)) keys.push(key);
  };
  for (const name in controllers) add(name, `${controllers[name]}${own[name] ?? ""}`);
  const inTree = own[""] ?? "/";
  if (unified !== undefined) {
    const above = mode === "unified" ? inTree.slice(0, inTree.lastIndexOf("/")) : inTree;
    add("", `${unified}${above}`);
  }
  return keys;
}

function mayWrite(path: string): boolean {
  return sys("faccessat2", AT_FDCWD, cString(path), W_OK, AT_EACCESS) === 0;
}

/**
 * The same from the files' text (proc_pid_mountinfo(5), cgroups(7)). Where a hierarchy is mounted more than once, the
 * first mount of its root counts, else the first one at all. `own` paths are below the mount point: where only a part
 * of a hierarchy is mounted (inside a container), that part's name is taken off. A cgroup namespace shows what is above
 * its root as `/..` (cgroup_namespaces(7)): an `own` with `..` in it is not to be found below the mount point.
 */
export function readCgroups(mountinfo: string, cgroup: string): HostCgroup {
  const controllers: Record<string, string> = {};
  const roots: Record<string, string> = {};
  let unified: string | undefined;
  for (let at = mountinfo.indexOf(" - cgroup"); at >= 0; at = mountinfo.indexOf(" - cgroup", at + 1)) {
    const start = mountinfo.lastIndexOf("\n", at) + 1;
    const end = mountinfo.indexOf("\n", at);
    const before = mountinfo.slice(start, at).split(" ");
    const after = mountinfo.slice(at + 3, end < 0 ? undefined : end).split(" ");
    const [root, point] = [mountPath(before[3] ?? "/"), mountPath(before[4] ?? "")];
    if (after[0] === "cgroup2") {
      if (unified !== undefined && (roots[""] === "/" || root !== "/")) continue;
      unified = point;
      roots[""] = root;
    } else if (after[0] === "cgroup") {
      for (const name of (after[2] ?? "").split(",")) {
        if (OTHER_OPTIONS.has(name) || (name.includes("=") && !name.startsWith("name="))) continue;
        if (name in controllers && (roots[name] === "/" || root !== "/")) continue;
        controllers[name] = point;
        roots[name] = root;
      }
    }
  }
  const legacy = Object.keys(controllers).length > 0;
  const mode = unified === undefined ? (legacy ? "legacy" : "none") : legacy ? "hybrid" : "unified";
  return { mode, unified, controllers, own: readOwn(cgroup, roots) };
}

/** Whether a path of procfs begins above the root of our cgroup namespace. */
function isAbove(path: string): boolean {
  return path === "/.." || path.startsWith("/../");
}

function readOwn(cgroup: string, roots: Readonly<Record<string, string>>): Record<string, string> {
  const own: Record<string, string> = {};
  for (const line of cgroup.split("\n")) {
    const first = line.indexOf(":");
    const second = line.indexOf(":", first + 1);
    if (first < 0 || second < 0) continue;
    const path = line.slice(second + 1);
    for (const name of line.slice(first + 1, second).split(",")) {
      const root = roots[name] ?? "/";
      const inside = root !== "/" && (path === root || path.startsWith(`${root}/`));
      if (inside) own[name] = path.slice(root.length) || "/";
      else own[name] = isAbove(root) ? `${root}${path}` : path;
    }
  }
  return own;
}
