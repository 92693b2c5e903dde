/** Thawing through the file of a freezer. A cgroup that has gone meanwhile holds nobody still: no error. */
import { check } from "../../src/kernel/check.ts";
import { ERRNO } from "../../src/kernel/errno.ts";
import { tryWriteFile } from "../../src/kernel/file.ts";

/** One write(2) of `text` to the freezer's file. */
export function writeThaw(path: string, text: string): void {
  const result = tryWriteFile(path, text);
  if (result !== -ERRNO.ENOENT && result !== -ERRNO.ENODEV) check(result, { syscall: "write", path });
}
