/**
 * A mount of type `cgroup` inside the container: on v1 a tmpfs with the container's own directory of every
 * hierarchy, on v2 the unified tree.
 */
import {
  AT_FDCWD,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../kernel/constants.ts";
import type { PlanInput } from "./input.ts";
import { contextOption } from "./labels.ts";
import type { MountOptions } from "./mount-options.ts";
import { attributeRow, moveRow, newMountRows } from "./mount-rows.ts";
import { row, slot } from "./rows.ts";
import type { Row } from "./step.ts";

/** Rows that put the cgroup file systems at the descriptor in the slot `destination`. */
export function cgroupMountRows(
  input: PlanInput,
  paths: Readonly<Record<string, string>>,
  options: MountOptions,
  into: string,
): Row[] {
  const { config, host } = input;
  const types = (config.linux?.namespaces ?? []).map(({ type }) => type as string);
  const [ownNamespace, user] = [types.includes("cgroup"), types.includes("user")];
  const attributes = options.attributes.set | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (host.cgroup.mode === "unified") {
    const own = paths.unified;
    if (user && !ownNamespace) {
      // Root of a user namespace cannot mount the host's tree, and is shown no more than its own cgroup (as in runc).
      const rows =
        own === undefined ? nothingRows(input, attributes, into) : cloneRows(own, attributes, into);
      return [...rows, moveRow(into, "destination")];
    }
    const v2 = { attributes: { set: attributes, clear: 0 }, data: options.data };
    return [...newMountRows("cgroup2", "cgroup", v2, into), moveRow(into, "destination")];
  }
  const base = {
    attributes: { set: attributes & ~MOUNT_ATTR_RDONLY, clear: 0 },
    data: ["mode=755", ...contextOption(input, "tmpfs")],
  };
  const rows = [...newMountRows("tmpfs", "tmpfs", base, into), moveRow(into, "destination")];
  for (const [mountPoint, controllers] of hierarchies(host.cgroup.controllers)) {
    const name = mountPoint.slice(mountPoint.lastIndexOf("/") + 1);
    const own = controllers.map((controller) => paths[controller]).find((path) => path !== undefined);
    if (!ownNamespace && own === undefined) continue;
    rows.push(row("mkdirat", [slot(into), name, 0o755]));
    if (ownNamespace) rows.push(...hierarchyRows(controllers, attributes));
    else rows.push(...cloneRows(own ?? "", attributes, "hierarchy"));
    rows.push(row("move_mount", [slot("hierarchy"), "", slot(into), name, MOVE_MOUNT_F_EMPTY_PATH]));
    rows.push(row("close", [slot("hierarchy")]));
    for (const controller of controllers) {
      // Hierarchies of several controllers are found under each one's name.
      if (controllers.length > 1 && !controller.includes("=")) {
        rows.push(row("symlinkat", [name, slot(into), controller], { allow: "EEXIST" }));
      }
    }
  }
  if ((attributes & MOUNT_ATTR_RDONLY) !== 0) {
    rows.push(attributeRow(into, { set: MOUNT_ATTR_RDONLY, clear: 0 }, false));
  }
  return rows;
}

/** In place of cgroups that the container does not have: the host's, which may lie below, would be its user's to write. */
function nothingRows(input: PlanInput, attributes: number, into: string): Row[] {
  const data = ["mode=755", ...contextOption(input, "tmpfs")];
  return newMountRows("tmpfs", "tmpfs", { attributes: { set: attributes, clear: 0 }, data }, into);
}

/** A directory of a cgroup file system as a mount of its own. */
function cloneRows(directory: string, attributes: number, into: string): Row[] {
  return [
    row("open_tree", [AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], { store: into }),
    attributeRow(into, { set: attributes, clear: 0 }, false),
  ];
}

/** Mount points of the v1 hierarchies, each with its controllers. */
function hierarchies(controllers: Readonly<Record<string, string>>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [controller, mountPoint] of Object.entries(controllers)) {
    const list = found.get(mountPoint);
    if (list === undefined) found.set(mountPoint, [controller]);
    else list.push(controller);
  }
  return found;
}

/** A hierarchy mounted from inside a cgroup namespace shows the container's cgroup as its root. */
function hierarchyRows(controllers: readonly string[], attributes: number): Row[] {
  const rows = [
    row("fsopen", ["cgroup", FSOPEN_CLOEXEC], { store: "fs" }),
    row("fsconfig", [slot("fs"), FSCONFIG_SET_STRING, "source", "cgroup", 0]),
  ];
  for (const controller of controllers) {
    if (controller.startsWith("name=")) {
      rows.push(
        row("fsconfig", [slot("fs"), FSCONFIG_SET_STRING, "name", controller.slice(5), 0]),
        row("fsconfig", [slot("fs"), FSCONFIG_SET_FLAG, "none", 0, 0]),
      );
    } else rows.push(row("fsconfig", [slot("fs"), FSCONFIG_SET_FLAG, controller, 0, 0]));
  }
  rows.push(
    row("fsconfig", [slot("fs"), FSCONFIG_CMD_CREATE, 0, 0, 0]),
    row("fsmount", [slot("fs"), FSMOUNT_CLOEXEC, attributes], { store: "hierarchy" }),
    row("close", [slot("fs")]),
  );
  return rows;
}
