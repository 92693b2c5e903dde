/**
 * The container's root: bound at its own place in the container's mount namespace before the mounts, entered by
 * pivot_root after them, then its propagation and, where asked for, read-only.
 */
import type { NamespacePart } from "../driver.ts";
import {
  AT_FDCWD,
  AT_RECURSIVE,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_MOVE,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../kernel/constants.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { isSet, type PlanInput } from "./input.ts";
import { attributeRow } from "./mount-rows.ts";
import { ROOT } from "./paths.ts";
import { row, slot } from "./rows.ts";
import type { InitStep } from "./step.ts";

/**
 * What the root becomes at last. It alone: mounts below it say for themselves, and the recursive forms tell what / is
 * made before anything is mounted. Without `slave`: the root is that of the host's from the start.
 */
const PROPAGATION: Readonly<Record<string, number>> = { shared: MS_SHARED, unbindable: MS_UNBINDABLE };

/** `rshared` is `shared`, for the root. By default it is a slave of the host's mount, as in runc. */
function rootPropagation({ config }: PlanInput): { own: string; recursive: boolean } {
  const given = config.linux?.rootfsPropagation ?? "rslave";
  const recursive = given.startsWith("r");
  return { own: recursive ? given.slice(1) : given, recursive };
}

/** What of a config is done by mounting, with the properties that ask for it. */
export function mountedParts({ root, mounts, linux }: RuntimeConfig): [field: string, value: unknown][] {
  return (
    [
      ["root.readonly", root.readonly === true ? true : undefined],
      ["mounts", mounts],
      ["linux.devices", linux?.devices],
      ["linux.rootfsPropagation", linux?.rootfsPropagation],
      ["linux.maskedPaths", linux?.maskedPaths],
      ["linux.readonlyPaths", linux?.readonlyPaths],
    ] as [string, unknown][]
  ).filter(([, value]) => isSet(value));
}

/**
 * Whether the container's mounts are made, and its root entered by pivot_root: in a mount namespace of its own always; in
 * one that is joined where the config has any, as in runc. All others in it then see them, and have the same root.
 */
export function hasMountNamespace({ config }: Pick<PlanInput, "config">): boolean {
  const mount = (config.linux?.namespaces ?? []).find(({ type }) => type === "mount");
  return mount !== undefined && (mount.path === undefined || mountedParts(config).length > 0);
}

/** Whether the container enters a mount namespace that others live in. */
export function joinsMountNamespace({ config }: Pick<PlanInput, "config">): boolean {
  return (config.linux?.namespaces ?? []).some(({ type, path }) => type === "mount" && path !== undefined);
}

/** Binds the opening of a mount namespace that is joined to the one that was looked at, where mounts are made in it. */
export function boundPart(input: PlanInput, part: NamespacePart): NamespacePart {
  if (!hasMountNamespace(input)) return part;
  const { inode, numbered = false } = input.facts.joinedMounts ?? {};
  const before = part.before.map((step) =>
    step.action.do === "open" ? { ...step, action: { ...step.action, mountsIn: { inode, numbered } } } : step,
  );
  return { ...part, before };
}

const JOINED_HINTS = {
  EPERM: "the mount namespace that is joined belongs to another user namespace than the container's",
};

/**
 * Binds the root onto itself. The init already stands in it (chdir in stage 0, with the host's rights), so that no
 * path has to be walked: a parent directory may be closed to the user namespace's root.
 */
export function bindRootSteps(input: PlanInput): InitStep[] {
  if (!hasMountNamespace(input)) {
    return [
      {
        on: "init",
        field: "root.path",
        about: "open the root",
        rows: [row("openat", [AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { store: ROOT })],
      },
    ];
  }
  const { own, recursive } = rootPropagation(input);
  const isolated = own === "private" && recursive;
  return [
    {
      on: "init",
      field: "linux.rootfsPropagation",
      about: "keep mounts from spreading to the host",
      // Slaves of slaves are slaves: what is mounted on the host still comes in, unless nothing is to (rprivate).
      rows: [row("mount", ["none", "/", "", (isolated ? MS_PRIVATE : MS_SLAVE) | MS_REC, 0])],
      ...(joinsMountNamespace(input) ? { hints: JOINED_HINTS } : {}),
    },
    {
      on: "init",
      field: "root.path",
      about: `bind ${input.facts.rootfs} onto itself`,
      path: input.facts.rootfs,
      rows: [
        row("open_tree", [AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE], {
          store: ROOT,
        }),
        ...(own === "slave" ? [] : [attributeRow(ROOT, { set: 0, clear: 0 }, true, MS_PRIVATE)]),
        row("move_mount", [slot(ROOT), "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH]),
      ],
      hints: { EINVAL: "the root file system must not be a mount that others share as unbindable" },
    },
  ];
}

/**
 * Without pivot_root the old root stays below the new one, and a whole procfs or sysfs in it would let a user namespace
 * inside mount one of its own without what covers ours. It is unmounted, or, where it is locked, covered.
 */
function coverStep(path: string, index: number): InitStep {
  const done = `covered ${index}`;
  const locked = `locked ${index}`;
  return {
    on: "init",
    field: "root.path",
    about: `hide ${path} of the old root`,
    path,
    rows: [
      row("umount2", [path, MNT_DETACH], { allow: "EINVAL", onError: locked, onZero: done }),
      row("mount", ["none", path, "tmpfs", MS_RDONLY, "size=0k,nr_inodes=2"], { label: locked }),
      row("getpid", [], { label: done }),
    ],
  };
}

/** Enters the root and lets go of the old one. */
export function enterRootSteps(input: PlanInput): InitStep[] {
  const step = (about: string, rows: InitStep["rows"], hints: Record<string, string> = {}): InitStep => ({
    on: "init",
    field: "root.path",
    about,
    rows,
    hints,
  });
  if (!hasMountNamespace(input)) {
    return [
      step("enter the root by chroot", [
        row("fchdir", [slot(ROOT)]),
        row("chroot", ["."]),
        row("chdir", ["/"]),
      ]),
    ];
  }
  const steps: InitStep[] = [];
  if (input.options.noPivot) {
    steps.push(
      ...(input.facts.kernelMounts ?? []).map(coverStep),
      step("enter the root by moving it over /", [
        row("fchdir", [slot(ROOT)]),
        row("mount", [".", "/", "", MS_MOVE, 0]),
        row("chroot", ["."]),
        row("chdir", ["/"]),
      ]),
    );
  } else {
    steps.push(
      step(
        "enter the root by pivot_root",
        [
          row("fchdir", [slot(ROOT)]),
          row("pivot_root", [".", "."]),
          // The old root now lies over the new one, at the same place.
          row("umount2", [".", MNT_DETACH]),
          row("chdir", ["/"]),
        ],
        { EINVAL: "pivot_root cannot leave an initramfs: give --no-pivot, or move / to a real mount first" },
      ),
    );
  }
  const propagation = rootPropagation(input).own;
  const flag = PROPAGATION[propagation];
  if (flag !== undefined) {
    steps.push({
      on: "init",
      field: "linux.rootfsPropagation",
      about: `make the root ${propagation}`,
      rows: [row("mount", ["none", "/", "", flag, 0])],
    });
  }
  return steps;
}

/** Makes the root read-only; after everything that is made in it. */
export function readonlyRootSteps(input: PlanInput): InitStep[] {
  if (input.config.root.readonly !== true) return [];
  return [
    {
      on: "init",
      field: "root.readonly",
      about: "make the root read-only",
      rows: [attributeRow(ROOT, { set: MOUNT_ATTR_RDONLY, clear: 0 }, false)],
    },
  ];
}
