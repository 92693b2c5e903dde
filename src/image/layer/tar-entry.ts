/**
 * What one tar entry means, put together from its header, the PAX records before it, and GNU's long names.
 * Not here: finding those in the stream (tar.ts), and what an entry does to a directory (tree.ts).
 */
import { invalidLayer, PATH_LIMIT } from "./limits.ts";
import type { TarHeader } from "./tar-header.ts";
import { type PaxRecords, paxNumber, paxPath, paxTime, paxXattrs } from "./tar-pax.ts";
import { paxSparse } from "./tar-sparse.ts";

export type TarType = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** One entry. `name` and `link` are byte strings as they stand in the archive: not cleaned, not checked. */
export interface TarEntry {
  readonly type: TarType;
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Size of the file, its holes included; 0 for what has no contents. */
  readonly size: number;
  readonly sparse: boolean;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined;
}

/** What a reader has before the first entry. */
export const EMPTY_ENTRY: TarEntry = {
  type: "file",
  name: "",
  link: "",
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  sparse: false,
  seconds: 0,
  nanoseconds: 0,
  devMajor: 0,
  devMinor: 0,
  xattrs: undefined,
};

/** A sparse file's size and pieces; no pieces yet where they stand before the data (form 1.0). */
export interface Holes {
  readonly size: number;
  readonly pieces: number[] | undefined;
}

/** What stands in the stream before an entry's data. */
export interface EntryParts {
  readonly header: TarHeader;
  readonly global: ReadonlyMap<string, string>;
  readonly pax: PaxRecords | undefined;
  readonly longName: string | undefined;
  readonly longLink: string | undefined;
  /** Of an old GNU sparse header. */
  readonly holes: Holes | undefined;
}

/** An entry, and how many bytes of data follow in the stream. */
export interface WholeEntry {
  readonly entry: TarEntry;
  readonly stored: number;
  readonly holes: Holes | undefined;
}

const TYPES: Readonly<Record<string, TarType>> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  S: "file",
};
const UID_MAX = 2 ** 32 - 2;

/** Puts an entry together. @throws CtrError INVALID_LAYER for what no layer may say. */
export function makeEntry(parts: EntryParts): WholeEntry {
  const { header, pax, longName, longLink } = parts;
  const values = merged(parts.global, pax?.values);
  const pathRecord = values.get("path");
  const plainName = longName ?? (pathRecord === undefined ? header.name : paxPath(pathRecord, "path"));
  const type = typeOf(header.flag, plainName);
  const sparse =
    type === "file" && parts.holes === undefined && pax !== undefined ? paxSparse(pax) : undefined;
  const holes = parts.holes ?? sparse;
  const stored = type === "file" ? number(values, "size", header.size) : 0;
  const size = type === "file" ? (holes?.size ?? stored) : 0;
  if (stored < 0 || size < 0) throw invalidLayer("a negative size", plainName);
  const mtime = values.get("mtime");
  const time = mtime === undefined ? { seconds: header.seconds, nanoseconds: 0 } : paxTime(mtime);
  const entry: TarEntry = {
    type,
    name: limited(longName ?? sparse?.name ?? plainName),
    link: limited(longLink ?? paxPath(values.get("linkpath") ?? header.link, "linkpath")),
    mode: header.mode,
    uid: owner(number(values, "uid", header.uid), plainName),
    gid: owner(number(values, "gid", header.gid), plainName),
    size,
    sparse: holes !== undefined,
    seconds: time.seconds,
    nanoseconds: time.nanoseconds,
    devMajor: header.devMajor,
    devMinor: header.devMinor,
    xattrs: values.size === 0 ? undefined : paxXattrs(values),
  };
  return { entry, stored, holes };
}

const NO_VALUES: ReadonlyMap<string, string> = new Map();

/** An empty value of an entry's own takes back the global one; an attribute may be empty. */
function merged(
  global: ReadonlyMap<string, string>,
  own: ReadonlyMap<string, string> | undefined,
): ReadonlyMap<string, string> {
  if (global.size === 0 && own === undefined) return NO_VALUES;
  const all = new Map([...global, ...(own ?? [])]);
  for (const [key, value] of all) {
    if (value === "" && !key.startsWith("SCHILY.xattr.") && !key.startsWith("LIBARCHIVE.xattr."))
      all.delete(key);
  }
  return all;
}

function number(values: ReadonlyMap<string, string>, key: string, otherwise: number): number {
  const value = values.get(key);
  return value === undefined ? otherwise : paxNumber(value, key);
}

/** An old header of a directory is one of a file whose name ends in a slash. */
function typeOf(flag: string, name: string): TarType {
  const type = TYPES[flag];
  if (type === undefined)
    throw invalidLayer(`of type ${JSON.stringify(flag)}, which no layer may have`, name);
  return flag === "\0" && name.endsWith("/") ? "directory" : type;
}

function limited(path: string): string {
  if (path.length > PATH_LIMIT) throw invalidLayer(`a path of ${path.length} bytes, at most ${PATH_LIMIT}`);
  return path;
}

/** 2^32 - 1 means "no change" to the kernel; what is beyond would wrap round to another user. */
function owner(id: number, name: string): number {
  if (id < 0 || id > UID_MAX) throw invalidLayer(`owner ${id} is no user or group ID`, name);
  return id;
}
