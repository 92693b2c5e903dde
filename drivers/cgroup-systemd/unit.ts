/**
 * From `linux.cgroupsPath` in systemd's form (`slice:prefix:name`) to the name of a unit and where systemd puts its
 * cgroup, and back from there to the unit. Pure.
 *
 * As runc's systemd managers have it: without a path the unit is `ctr-bun-ID.scope` in `system.slice` (an ordinary
 * user's: `user.slice`); a name that ends in `.slice` makes a slice. Source: systemd.unit(5), systemd.slice(5).
 */
import type { CgroupRequest } from "../../src/driver.ts";
import { type CtrError, fail } from "../../src/error.ts";

/** A unit and its cgroup. */
export interface UnitPlace {
  readonly unit: string;
  readonly kind: "Scope" | "Slice";
  /** The slice that it is in. */
  readonly slice: string;
  /** Directories from the manager's own cgroup down to the unit's, its own last. */
  readonly parts: readonly string[];
}

const FIELD = "linux.cgroupsPath";
/** Prefix of units whose name nobody gave. */
const PREFIX = "ctr-bun";
const SLICE = ".slice";
/** UNIT_NAME_MAX, without the NUL. */
const MOST_NAME = 255;

/**
 * The unit of a container. `user`: it is an ordinary user's systemd, of that version. Throws INVALID_CONFIG for any other
 * form.
 */
export function unitPlace(
  { id, cgroupsPath = "" }: CgroupRequest,
  user: boolean,
  version: number,
): UnitPlace {
  const standard = user ? "user.slice" : "system.slice";
  if (cgroupsPath === "") return placeIn(standard, `${PREFIX}-${escapeName(id)}.scope`, id, version);
  const parts = cgroupsPath.split(":");
  const [slice = "", prefix = "", name = ""] = parts;
  if (parts.length !== 3) {
    throw invalid(
      // runc's words.
      `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got ${JSON.stringify(cgroupsPath)} instead`,
      `give one like system.slice:ctr-bun:${id}, or leave it out`,
    );
  }
  if (name === "") throw invalid(`${JSON.stringify(cgroupsPath)} has no name for the unit`);
  const unit = name.endsWith(SLICE) ? name : `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
  return placeIn(slice === "" ? standard : slice, unit, cgroupsPath, version);
}

function placeIn(slice: string, unit: string, from: string, version: number): UnitPlace {
  const above = expandSlice(slice, version);
  if (unit.endsWith(SLICE)) {
    const parts = expandSlice(unit, version);
    // systemd reads off a slice's name where it is.
    if (parts.length === 0 || parts.slice(0, -1).join("/") !== above.join("/")) {
      throw invalid(`the slice ${unit} is not in ${slice}`, `its name must begin with that of ${slice}`);
    }
    return { unit, kind: "Slice", slice, parts };
  }
  if (unit.length > MOST_NAME || !/^[\w:.\\-]+(@[\w:.\\-]+)?\.scope$/.test(unit)) {
    const why = unit.length > MOST_NAME ? `it is longer than ${MOST_NAME} characters` : "see systemd.unit(5)";
    throw invalid(`${JSON.stringify(unit)}, of ${JSON.stringify(from)}, is no name of a unit: ${why}`);
  }
  return { unit, kind: "Scope", slice, parts: [...above, directoryName(unit, version)] };
}

/** `a-b.slice` to the directories `a.slice`, `a-b.slice`; none for the root, `-.slice`. */
export function expandSlice(slice: string, version: number): string[] {
  const name = slice.slice(0, -SLICE.length);
  if (!slice.endsWith(SLICE) || slice.length > MOST_NAME || !/^[\w:.\\-]+$/.test(name)) throw badSlice(slice);
  if (name === "-") return [];
  const directories: string[] = [];
  let prefix = "";
  for (const part of name.split("-")) {
    if (part === "") throw badSlice(slice);
    directories.push(directoryName(`${prefix}${part}${SLICE}`, version));
    prefix += `${part}-`;
  }
  return directories;
}

function badSlice(slice: string): CtrError {
  const hint = "a slice is written like user-1000.slice, which lies in user.slice; the root is -.slice";
  return invalid(`invalid slice name: ${slice}`, hint);
}

function invalid(message: string, hint?: string): CtrError {
  return fail({ code: "INVALID_CONFIG", field: FIELD, message, hint });
}

/** What of an ID no unit's name can have (`+`), as systemd-escape(1) writes it. */
function escapeName(id: string): string {
  return id.replace(/[^\w:.-]/g, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** What systemd takes for controllers: of a unit called like a file of theirs the directory has another name. */
const CONTROLLERS =
  "cpu|cpuacct|cpuset|io|blkio|memory|devices|pids|bpf-(firewall|devices|foreign|socket-bind|restrict-network-interfaces)";
/** Up to the first dot, and with older versions of systemd up to the last. */
const [FILES, OLD_FILES] = [RegExp(`^(${CONTROLLERS})\\.`), RegExp(`^(${CONTROLLERS})\\.[^.]*$`)];
/** The version from which on it is the first. */
const FIRST_DOT = 253;

/**
 * A unit's directory is called as the unit, but where that could be a file of a cgroup: cg_escape() of systemd
 * (src/basic/cgroup-util.c).
 */
function directoryName(unit: string, version: number): string {
  const isFile = /^([_.]|cgroup\.)/.test(unit) || (version < FIRST_DOT ? OLD_FILES : FILES).test(unit);
  return isFile ? `_${unit}` : unit;
}

/** A container's unit, read off its cgroup's directory; the directory of the unit itself. */
export function unitOf(directory: string): { unit: string; kind: UnitPlace["kind"]; directory: string } {
  const parts = directory.split("/");
  const at = parts.findLastIndex((part) => part.endsWith(".scope") || part.endsWith(SLICE));
  const part = parts[at];
  if (part === undefined) throw fail({ code: "CGROUP", message: `no unit's cgroup: ${directory}` });
  const unit = part.startsWith("_") ? part.slice(1) : part;
  return {
    unit,
    kind: unit.endsWith(SLICE) ? "Slice" : "Scope",
    directory: parts.slice(0, at + 1).join("/"),
  };
}
