/**
 * Options of a mount (runtime-spec config.md, "Linux mount options"; mount(8)) in the terms of the mount API:
 * attributes of the mount, propagation, and parameters of the file system. Pure.
 */
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "../kernel/constants.ts";
import type { Mount } from "../spec/runtime/config.ts";

/** Attributes to set and to clear (mount_setattr(2)). */
export interface Attributes {
  set: number;
  clear: number;
}

/** Options, sorted by what carries them out. */
export interface MountOptions {
  readonly bind: boolean;
  /** rbind: what is mounted below the source comes along. */
  readonly recursive: boolean;
  readonly attributes: Attributes;
  /** Those of `rro`, `rnosuid`, ...: for the mount and all below it. */
  readonly recursiveAttributes: Attributes;
  readonly propagation: { readonly flag: number; readonly recursive: boolean }[];
  /** Parameters of the file system: `mode=755`, `newinstance`; and those that any has: `sync`. */
  readonly data: readonly string[];
  /** Count changes of inodes (MS_I_VERSION), which only mount(2) can say. */
  readonly iversion: boolean;
  readonly tmpcopyup: boolean;
  readonly idmap: "idmap" | "ridmap" | undefined;
  readonly remount: boolean;
}

type Change = readonly [set: number, clear: number];

const ATTRIBUTES: Readonly<Record<string, Change>> = {
  ro: [MOUNT_ATTR_RDONLY, 0],
  rw: [0, MOUNT_ATTR_RDONLY],
  nosuid: [MOUNT_ATTR_NOSUID, 0],
  suid: [0, MOUNT_ATTR_NOSUID],
  nodev: [MOUNT_ATTR_NODEV, 0],
  dev: [0, MOUNT_ATTR_NODEV],
  noexec: [MOUNT_ATTR_NOEXEC, 0],
  exec: [0, MOUNT_ATTR_NOEXEC],
  nodiratime: [MOUNT_ATTR_NODIRATIME, 0],
  diratime: [0, MOUNT_ATTR_NODIRATIME],
  nosymfollow: [MOUNT_ATTR_NOSYMFOLLOW, 0],
  symfollow: [0, MOUNT_ATTR_NOSYMFOLLOW],
  // The access time setting is one field of three values: it is cleared as a whole and set anew.
  relatime: [0, MOUNT_ATTR__ATIME],
  norelatime: [MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME],
  noatime: [MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME],
  atime: [0, MOUNT_ATTR__ATIME],
  strictatime: [MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME],
  nostrictatime: [0, MOUNT_ATTR__ATIME],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  shared: MS_SHARED,
  slave: MS_SLAVE,
  unbindable: MS_UNBINDABLE,
};

/** Options of mount(8) that are the default anyway, or concern only mount(8) and the kernel's log. */
const WITHOUT_EFFECT = new Set(["defaults", "loud", "silent"]);
/**
 * Options that belong to a file system as a whole, whatever its type (vfs_parse_sb_flag() in fs/fs_context.c): those of
 * a new one, or of one that is remounted; a bind mount has none. The negative ones are the default of a new one.
 */
const FILE_SYSTEM = new Set(["async", "dirsync", "lazytime", "mand", "nolazytime", "nomand", "sync"]);
const NEGATIVE = new Set(["async", "nolazytime", "nomand"]);

function apply(attributes: Attributes, [set, clear]: Change): void {
  attributes.set = (attributes.set & ~clear) | set;
  attributes.clear = (attributes.clear & ~set) | clear;
}

const known = new WeakMap<Mount, MountOptions>();

/** The options of a mount, which many ask for: sorted once. */
export function optionsOf(mount: Mount): MountOptions {
  let options = known.get(mount);
  if (options === undefined) {
    options = parseMountOptions(mount.type, mount.options ?? []);
    known.set(mount, options);
  }
  return options;
}

/** Sorts the options of a mount; later ones win over earlier ones. */
export function parseMountOptions(type: string | undefined, options: readonly string[]): MountOptions {
  const attributes: Attributes = { set: 0, clear: 0 };
  const recursiveAttributes: Attributes = { set: 0, clear: 0 };
  const propagation: { flag: number; recursive: boolean }[] = [];
  const data: string[] = [];
  const general: string[] = [];
  let iversion = false;
  let bind = type === "bind";
  let recursive = false;
  let tmpcopyup = false;
  let remount = false;
  let idmap: "idmap" | "ridmap" | undefined;
  for (const option of options) {
    const change = ATTRIBUTES[option];
    if (change !== undefined) {
      apply(attributes, change);
      continue;
    }
    const rest = option.startsWith("r") ? option.slice(1) : undefined;
    if (option === "bind" || option === "rbind") {
      bind = true;
      if (option === "rbind") recursive = true;
    } else if (PROPAGATION[option] !== undefined) {
      propagation.push({ flag: PROPAGATION[option], recursive: false });
    } else if (rest !== undefined && PROPAGATION[rest] !== undefined) {
      propagation.push({ flag: PROPAGATION[rest], recursive: true });
    } else if (rest !== undefined && ATTRIBUTES[rest] !== undefined) {
      apply(recursiveAttributes, ATTRIBUTES[rest]);
    } else if (option === "tmpcopyup") tmpcopyup = true;
    else if (option === "idmap" || option === "ridmap") idmap = option;
    else if (option === "remount") remount = true;
    else if (option === "iversion" || option === "noiversion") iversion = option === "iversion";
    else if (FILE_SYSTEM.has(option)) general.push(option);
    else if (!WITHOUT_EFFECT.has(option) && option !== "") data.push(option);
  }
  if (!bind) data.unshift(...general.filter((option) => remount || !NEGATIVE.has(option)));
  return {
    bind,
    recursive,
    attributes,
    recursiveAttributes,
    propagation,
    data,
    iversion: iversion && !bind,
    tmpcopyup,
    idmap,
    remount,
  };
}

/** Every option that means something here, for `features`; parameters of single file systems are not among them. */
export function knownMountOptions(): string[] {
  const recursive = [...Object.keys(ATTRIBUTES), ...Object.keys(PROPAGATION)];
  return [
    ...new Set([
      ...recursive,
      ...recursive.map((option) => `r${option}`),
      ...WITHOUT_EFFECT,
      ...FILE_SYSTEM,
      ...["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap", "iversion", "noiversion"],
    ]),
  ];
}

/** Whether attributes change anything. */
export function changesAnything({ set, clear }: Attributes): boolean {
  return set !== 0 || clear !== 0;
}
