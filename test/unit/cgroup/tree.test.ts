/** What is not a cgroup is never taken away, whatever stands where one was. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeCgroups } from "../../../drivers/cgroup-common/tree.ts";

test("a directory of another file system in the place of a cgroup is left alone, and said", () => {
  const directory = mkdtempSync(join(tmpdir(), "ctr-bun-tree-"));
  try {
    mkdirSync(join(directory, "below"));
    // Also an empty one.
    for (const path of [directory, join(directory, "below")]) {
      expect(() => removeCgroups([path])).toThrow("the directory is no cgroup any more, and is left alone");
      expect(existsSync(path)).toBe(true);
    }
    removeCgroups([join(directory, "missing"), "/proc/1/missing/too"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
