/** What kind of file system a file lies in (statfs(2)). Not here: mounting one (mount.ts). */
import { cString, viewOf } from "./memory.ts";
import { sys } from "./raw.ts";

/** Of struct statfs. */
export interface FileSystem {
  /** Its magic, f_type. */
  readonly type: number;
  /** ST_* of the mount, f_flags. */
  readonly flags: number;
}

const SIZE = 120;
const F_FLAGS = 80;

/** Of a path, or of an open file; -errno where the kernel does not say. */
export function tryFileSystemOf(file: string | number): FileSystem | number {
  const status = new Uint8Array(SIZE);
  const result =
    typeof file === "string" ? sys("statfs", cString(file), status) : sys("fstatfs", file, status);
  if (result < 0) return result;
  const view = viewOf(status);
  return { type: view.getUint32(0, true), flags: view.getUint32(F_FLAGS, true) };
}

/** Whether a path, or an open file, lies in a file system with this magic; no, where the kernel does not say. */
export function liesIn(file: string | number, magic: number): boolean {
  const found = tryFileSystemOf(file);
  return typeof found !== "number" && found.type === magic;
}
