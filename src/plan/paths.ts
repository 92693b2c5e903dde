/**
 * Rows that reach a path inside the container's root by descriptors (rule R1), making what is missing on the way:
 * every component is made on its parent's descriptor and then opened again from the root. Pure.
 */
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFREG,
} from "../kernel/constants.ts";
import { type RowExtra, row, slot, struct } from "./rows.ts";
import type { Arg, Row } from "./step.ts";

/** Slot of the descriptor of the container's root. */
export const ROOT = "root";

const IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
const HOW_SIZE = 24;

/** openat2(2) below the root. `flags` gets O_CLOEXEC. */
export function openRow(
  path: string,
  flags: number,
  extra?: RowExtra,
  strict = false,
  from: Arg = slot(ROOT),
): Row {
  const resolve = strict ? IN_ROOT | RESOLVE_NO_SYMLINKS : IN_ROOT;
  return row("openat2", [from, path, { bytes: struct(flags | O_CLOEXEC, 0, resolve) }, HOW_SIZE], extra);
}

/** What a path must lead to, and how to make it. */
export interface Reach {
  /** Absolute inside the root, clean. */
  readonly path: string;
  /** How many components at its end are missing, and made: directories 0755, or a file 0644 at last. */
  readonly missing: number;
  readonly file: boolean;
  /** Slot that gets the O_PATH descriptor. */
  readonly into: string;
  /** No symbolic link at all on the way (R2: for /proc and /sys). */
  readonly strict?: boolean;
}

/** Rows that open a path, making the missing part of it. */
export function reachRows({ path, missing, file, into, strict }: Reach): Row[] {
  const parts = path.split("/").filter((part) => part !== "");
  const rows: Row[] = [];
  for (let made = parts.length - missing; made < parts.length; made++) {
    const parent = `/${parts.slice(0, made).join("/")}`;
    const name = parts[made] ?? "";
    rows.push(openRow(parent, O_PATH | O_DIRECTORY, { store: "parent" }, strict));
    if (file && made === parts.length - 1) {
      rows.push(row("mknodat", [slot("parent"), name, S_IFREG | 0o644, 0], { allow: "EEXIST" }));
    } else {
      rows.push(row("mkdirat", [slot("parent"), name, 0o755], { allow: "EEXIST" }));
    }
  }
  rows.push(openRow(path, O_PATH, { store: into }, strict));
  return rows;
}

/** The part of a path before its last component: `/dev/net/tun` -> `/dev/net`. */
export function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? "/" : path.slice(0, end);
}

/** The last component. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
