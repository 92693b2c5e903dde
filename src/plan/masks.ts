/**
 * `linux.maskedPaths` and `linux.readonlyPaths`, after pivot_root: what is masked is covered by /dev/null or an empty
 * read-only tmpfs, all by descriptors. Paths that do not exist are left out, as in runc.
 */
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFCHR,
  STATX_BASIC_STATS,
} from "../kernel/constants.ts";
import type { PlanInput } from "./input.ts";
import { contextOption } from "./labels.ts";
import { attributeRow, moveRow, newMountRows } from "./mount-rows.ts";
import { openRow } from "./paths.ts";
import { jump, row, slot } from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

const TMPFS = {
  attributes: {
    set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    clear: 0,
  },
  data: ["size=0k", "nr_inodes=2", "mode=755"],
};
const CLONE = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;

/** Opens a path; one that the kernel or the image lacks is left out. */
function target(path: string, done: string): Row {
  return openRow(path, O_PATH, { store: "masked", allow: "ENOENT", onError: done });
}

/** Covers masked paths. */
export function maskSteps(input: PlanInput): InitStep[] {
  const paths = input.config.linux?.maskedPaths ?? [];
  if (paths.length === 0) return [];
  const tmpfs = { ...TMPFS, data: [...TMPFS.data, ...contextOption(input, "tmpfs")] };
  const steps: InitStep[] = [
    {
      on: "init",
      field: "linux.maskedPaths",
      about: "take /dev/null and make an empty tmpfs, to mask with",
      path: "/dev/null",
      buffers: { "null.statx": 256 },
      rows: [
        openRow("/dev/null", O_PATH, { store: "null" }),
        // It must be the real one (CVE-2025-31133): a character device, 1:3.
        row("statx", [slot("null"), "", AT_EMPTY_PATH, STATX_BASIC_STATS, { at: "null.statx" }]),
        row("test", [{ slot: "null.statx", offset: 28 }, 0o170000, S_IFCHR], { onZero: "null-type" }),
        row("fail", [-19, { label: "null-fail" }], { label: "null-fail" }),
        row("test", [{ slot: "null.statx", offset: 128 }, 0xffffffffffffffffn, 0x300000001n], {
          label: "null-type",
          onZero: "null-good",
        }),
        jump("null-fail"),
        ...labelled("null-good", newMountRows("tmpfs", "tmpfs", tmpfs, "empty")),
      ],
      hints: { ENODEV: "/dev/null in the container is not the null device (character device 1:3)" },
    },
  ];
  paths.forEach((path, index) => {
    const done = `masked ${index}`;
    steps.push({
      on: "init",
      field: `linux.maskedPaths[${index}]`,
      about: `mask ${path}`,
      path,
      rows: [
        target(path, done),
        openRow(path, O_PATH | O_DIRECTORY, { allow: "ENOTDIR", onError: `file ${index}` }),
        // The tmpfs is one: the first directory gets it, every other one a clone of what is attached there.
        ...emptyRows(index),
        jump(done),
        row("open_tree", [slot("null"), "", CLONE | AT_EMPTY_PATH], {
          store: "cover",
          label: `file ${index}`,
        }),
        moveRow("cover", "masked"),
        row("getpid", [], { label: done }),
      ],
    });
  });
  return steps;
}

function emptyRows(index: number): Row[] {
  return [
    // `used` is 0 until the tmpfs itself was attached; detached trees cannot be cloned before Linux 6.2.
    row("test", [slot("empty.used"), 0xff, 0], { onZero: `attach ${index}` }),
    row("open_tree", [slot("empty"), "", CLONE | AT_EMPTY_PATH], { store: "cover" }),
    moveRow("cover", "masked"),
    jump(`masked ${index}`),
    { ...moveRow("empty", "masked"), label: `attach ${index}` },
    // Not equal gives 1, which is kept: attached.
    row("test", [1, 1, 0], { store: "empty.used" }),
  ];
}

function labelled(label: string, rows: readonly Row[]): Row[] {
  return rows.map((entry, index) => (index === 0 ? { ...entry, label } : entry));
}

/** Makes paths read-only, each a mount of its own. */
export function readonlyPathSteps({ config }: PlanInput): InitStep[] {
  return (config.linux?.readonlyPaths ?? []).map((path, index) => {
    const done = `readonly ${index}`;
    return {
      on: "init" as const,
      field: `linux.readonlyPaths[${index}]`,
      about: `make ${path} read-only`,
      path,
      rows: [
        target(path, done),
        row("open_tree", [slot("masked"), "", CLONE | AT_EMPTY_PATH | AT_RECURSIVE], { store: "cover" }),
        attributeRow("cover", { set: MOUNT_ATTR_RDONLY, clear: 0 }, false),
        moveRow("cover", "masked"),
        row("getpid", [], { label: done }),
      ],
    };
  });
}
