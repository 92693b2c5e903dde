/** Paths as people give them: absolute, or below the directory they stand in. */

/** The path itself where it is absolute, else below `cwd`; `.` and `..` stay as they are. */
export function absolutePath(path: string, cwd: string): string {
  return path.startsWith("/") ? path : `${cwd}/${path}`;
}
