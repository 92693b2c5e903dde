/**
 * Rows of the mount API that several sections need: making a file system, moving a mount, changing its attributes.
 * Not here: which mounts a container has (mounts.ts, root.ts, masks.ts).
 */
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
} from "../kernel/constants.ts";
import type { Attributes } from "./mount-options.ts";
import { row, slot, struct } from "./rows.ts";
import type { Row } from "./step.ts";

/** Slot of the descriptor of a mount, by its index in config.mounts. */
export function mountSlot(index: number): string {
  return `mount${index}`;
}

/** Moves a detached mount onto a destination. */
export function moveRow(from: string, to: string): Row {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  return row("move_mount", [slot(from), "", slot(to), "", flags]);
}

/** mount_setattr(2) of the mount that a slot's descriptor is the root of. */
export function attributeRow(of: string, attributes: Attributes, recursive: boolean, propagation = 0): Row {
  const bytes = struct(attributes.set, attributes.clear, propagation, 0);
  return row("mount_setattr", [slot(of), "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), { bytes }, 32]);
}

function optionRows(options: readonly string[]): Row[] {
  return options.map((option) => {
    const equals = option.indexOf("=");
    if (equals < 0) return row("fsconfig", [slot("fs"), FSCONFIG_SET_FLAG, option, 0, 0]);
    const [key, value] = [option.slice(0, equals), option.slice(equals + 1)];
    return row("fsconfig", [slot("fs"), FSCONFIG_SET_STRING, key, value, 0]);
  });
}

/** Changes options of the file system that a slot's descriptor is the root of; no row where there are none. */
export function remountRows({ data, bind }: { data: readonly string[]; bind: boolean }, of: string): Row[] {
  if (data.length === 0 || bind) return [];
  return [
    row("fspick", [slot(of), "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH], { store: "fs" }),
    ...optionRows(data),
    row("fsconfig", [slot("fs"), FSCONFIG_CMD_RECONFIGURE, 0, 0, 0]),
    row("close", [slot("fs")]),
  ];
}

/** A file system of its own by fsopen(2), not attached yet. */
export function newMountRows(
  type: string,
  source: string,
  options: { readonly data: readonly string[]; readonly attributes: Attributes },
  into: string,
): Row[] {
  const rows = [row("fsopen", [type, FSOPEN_CLOEXEC], { store: "fs" })];
  if (source !== "") rows.push(row("fsconfig", [slot("fs"), FSCONFIG_SET_STRING, "source", source, 0]));
  rows.push(...optionRows(options.data));
  rows.push(
    row("fsconfig", [slot("fs"), FSCONFIG_CMD_CREATE, 0, 0, 0]),
    row("fsmount", [slot("fs"), FSMOUNT_CLOEXEC, options.attributes.set], { store: into }),
    row("close", [slot("fs")]),
  );
  return rows;
}
