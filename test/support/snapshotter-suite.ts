/**
 * The conformance suite of snapshotters: what src/driver.ts promises, shown by really mounting. Every snapshotter is
 * run through it, the built-in ones and a user's. A driver file of your own: in a file of yours,
 *
 *     import { snapshotterSuite } from ".../test/support/snapshotter-suite.ts";
 *     import myDriver from "./my-driver.ts";
 *     snapshotterSuite("mine", () => myDriver);
 *
 * and `bun test` that file, as root.
 */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { SnapshotInfo, SnapshotMount, Snapshotter, SnapshotterDriver } from "../../src/driver.ts";
import { mount, unmount } from "../../src/kernel/mount.ts";

/** Registers the suite with bun:test. `makeDriver` is called once. */
export function snapshotterSuite(name: string, makeDriver: () => SnapshotterDriver): void {
  const driver = makeDriver();
  const base = mkdtempSync("/tmp/ctr-bun-snapshotter-");
  let run = 0;
  let root = "";
  let snapshots: Snapshotter;

  /** Mounts, hands the directory over, unmounts. */
  function within<T>(mounts: readonly SnapshotMount[], use: (directory: string) => T): T {
    const target = `${base}/mnt`;
    mkdirSync(target, { recursive: true });
    let mounted = 0;
    try {
      for (const { type, source, options } of mounts) {
        mount(source, target, type, options);
        mounted++;
      }
      return use(target);
    } finally {
      while (mounted-- > 0) unmount(target);
    }
  }

  /** A committed layer that was written through its mounts. */
  function layer(key: string, parent: string | undefined, write: (directory: string) => void): void {
    within(snapshots.prepare(`${key} (active)`, parent), write);
    snapshots.commit(key, `${key} (active)`);
  }

  const write = (path: string) => (directory: string) => writeFileSync(`${directory}/${path}`, path);
  const code = (use: () => unknown): unknown => {
    try {
      use();
    } catch (error) {
      return error instanceof Error && "code" in error ? error.code : error;
    }
    return "no error";
  };

  describe(`snapshotter ${name}`, () => {
    beforeEach(() => {
      root = `${base}/${++run}`;
      mkdirSync(root, { mode: 0o700 });
      snapshots = driver.open(root);
    });
    afterAll(() => rmSync(base, { recursive: true, force: true }));

    test("is what it says", () => {
      expect(driver.kind).toBe("snapshotter");
      expect(snapshots.name).toBe(driver.name);
    });

    test("an active snapshot is empty, writable, and keeps what is written", () => {
      within(snapshots.prepare("a", undefined), (directory) => {
        expect(readdirSync(directory)).toEqual([]);
        write("file")(directory);
      });
      within(snapshots.mounts("a"), (directory) => expect(readdirSync(directory)).toEqual(["file"]));
      expect(snapshots.stat("a")).toEqual({ key: "a", kind: "active", parent: undefined });
    });

    test("a committed snapshot has its new key, and the old one is gone", () => {
      layer("sha256:one", undefined, write("one"));
      expect(snapshots.stat("sha256:one")).toEqual({
        key: "sha256:one",
        kind: "committed",
        parent: undefined,
      });
      expect(snapshots.stat("sha256:one (active)")).toBeUndefined();
      expect(code(() => snapshots.mounts("sha256:one (active)"))).toBe("NOT_FOUND");
    });

    test("layers lie on each other: the upper ones win, and the lower ones do not change", () => {
      layer("1", undefined, (directory) => {
        for (const path of ["same", "one", "gone"]) writeFileSync(`${directory}/${path}`, "1");
        mkdirSync(`${directory}/d`);
        writeFileSync(`${directory}/d/old`, "1");
      });
      layer("2", "1", (directory) => {
        writeFileSync(`${directory}/same`, "2");
        rmSync(`${directory}/gone`);
        rmSync(`${directory}/d`, { recursive: true });
        mkdirSync(`${directory}/d`);
        writeFileSync(`${directory}/d/new`, "2");
      });
      layer("3", "2", write("three"));
      within(snapshots.view("v", "3"), (directory) => {
        expect(readdirSync(directory).sort()).toEqual(["d", "one", "same", "three"]);
        expect(readFileSync(`${directory}/same`, "utf8")).toBe("2");
        expect(readdirSync(`${directory}/d`)).toEqual(["new"]);
      });
      within(snapshots.view("w", "1"), (directory) => {
        expect(readdirSync(directory).sort()).toEqual(["d", "gone", "one", "same"]);
        expect(readFileSync(`${directory}/same`, "utf8")).toBe("1");
      });
    });

    test("two active snapshots over one parent do not see each other", () => {
      layer("base", undefined, write("base"));
      within(snapshots.prepare("a", "base"), write("from-a"));
      within(snapshots.prepare("b", "base"), (directory) => {
        expect(readdirSync(directory)).toEqual(["base"]);
        write("from-b")(directory);
      });
      within(snapshots.mounts("a"), (directory) =>
        expect(readdirSync(directory).sort()).toEqual(["base", "from-a"]),
      );
    });

    test("a view is read-only: over nothing, one layer, and several", () => {
      layer("1", undefined, write("one"));
      layer("2", "1", write("two"));
      for (const parent of [undefined, "1", "2"]) {
        within(snapshots.view(`view of ${parent}`, parent), (directory) => {
          expect(code(() => writeFileSync(`${directory}/new`, ""))).toBe("EROFS");
        });
        expect(snapshots.stat(`view of ${parent}`)?.kind).toBe("view");
      }
    });

    test("the root directory's owner and mode come along", () => {
      layer("1", undefined, (directory) => chmodSync(directory, 0o751));
      layer("2", "1", write("x"));
      within(snapshots.prepare("a", "2"), (directory) =>
        expect(statSync(directory).mode & 0o7777).toBe(0o751),
      );
    });

    test("a root directory begins as root's, 0755, whatever the umask", () => {
      const before = process.umask(0o077);
      const mounts = snapshots.prepare("a", undefined);
      process.umask(before);
      within(mounts, (directory) => expect(statSync(directory).mode & 0o7777).toBe(0o755));
    });

    test("keys are used once", () => {
      layer("1", undefined, write("x"));
      snapshots.prepare("a", "1");
      expect(code(() => snapshots.prepare("a", undefined))).toBe("ALREADY_EXISTS");
      expect(code(() => snapshots.view("a", "1"))).toBe("ALREADY_EXISTS");
      expect(code(() => snapshots.prepare("1", undefined))).toBe("ALREADY_EXISTS");
      expect(code(() => snapshots.commit("1", "a"))).toBe("ALREADY_EXISTS");
      expect(snapshots.stat("a")?.kind).toBe("active");
    });

    test("only what is committed can be a parent, and only what is active be committed", () => {
      snapshots.prepare("active", undefined);
      snapshots.view("view", undefined);
      for (const parent of ["active", "view"])
        expect(code(() => snapshots.prepare("x", parent))).not.toBe("no error");
      expect(code(() => snapshots.prepare("x", "nothing"))).toBe("NOT_FOUND");
      expect(code(() => snapshots.commit("y", "view"))).not.toBe("no error");
      expect(code(() => snapshots.commit("y", "nothing"))).toBe("NOT_FOUND");
      expect(snapshots.stat("x")).toBeUndefined();
      expect(snapshots.stat("y")).toBeUndefined();
    });

    test("a parent cannot be removed before its children", () => {
      layer("1", undefined, write("x"));
      layer("2", "1", write("y"));
      snapshots.prepare("a", "2");
      expect(code(() => snapshots.remove("1"))).toBe("IN_USE");
      expect(code(() => snapshots.remove("2"))).toBe("IN_USE");
      snapshots.remove("a");
      snapshots.remove("2");
      snapshots.remove("1");
      expect(code(() => snapshots.remove("1"))).toBe("NOT_FOUND");
      expect(snapshots.stat("1")).toBeUndefined();
    });

    test("what was removed can be made anew, empty", () => {
      within(snapshots.prepare("a", undefined), write("x"));
      snapshots.remove("a");
      within(snapshots.prepare("a", undefined), (directory) => expect(readdirSync(directory)).toEqual([]));
    });

    test("walk sees every snapshot once", () => {
      layer("1", undefined, write("x"));
      snapshots.prepare("a", "1");
      snapshots.view("v", "1");
      const seen: SnapshotInfo[] = [];
      snapshots.walk((info) => seen.push(info));
      expect(seen.sort((one, other) => one.key.localeCompare(other.key))).toEqual([
        { key: "1", kind: "committed", parent: undefined },
        { key: "a", kind: "active", parent: "1" },
        { key: "v", kind: "view", parent: "1" },
      ]);
    });

    test("usage counts a snapshot alone", () => {
      layer("1", undefined, (directory) => writeFileSync(`${directory}/big`, Buffer.alloc(1 << 20, 1)));
      within(snapshots.prepare("a", "1"), write("small"));
      expect(snapshots.usage("1").bytes).toBeGreaterThanOrEqual(1 << 20);
      expect(snapshots.usage("1").inodes).toBeGreaterThanOrEqual(1);
      expect(snapshots.usage("a").bytes).toBeLessThan(1 << 20);
      expect(code(() => snapshots.usage("nothing"))).toBe("NOT_FOUND");
    });

    test("another process sees the same: opened again, all is there", () => {
      layer("1", undefined, write("x"));
      snapshots.prepare("a", "1");
      const again = driver.open(root);
      expect(again.stat("1")?.kind).toBe("committed");
      within(again.mounts("a"), (directory) => expect(readdirSync(directory)).toEqual(["x"]));
      again.remove("a");
      expect(snapshots.stat("a")).toBeUndefined();
    });

    test("a key never becomes a path", () => {
      const canary = `${base}/canary`;
      writeFileSync(canary, "untouched");
      for (const key of [
        "../canary",
        "../../canary",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "lock",
        "keys",
        "x".repeat(300),
      ]) {
        expect(snapshots.stat(key)).toBeUndefined();
        within(snapshots.prepare(key, undefined), write("x"));
        expect(snapshots.stat(key)?.key).toBe(key);
        snapshots.remove(key);
      }
      for (const key of ["", "a\0b", "a\nb"])
        expect(code(() => snapshots.prepare(key, undefined))).not.toBe("no error");
      expect(readFileSync(canary, "utf8")).toBe("untouched");
    });

    test("nobody else gets into the root", () => {
      layer("1", undefined, write("x"));
      expect(statSync(root).mode & 0o077).toBe(0);
      for (const entry of readdirSync(root)) {
        const stat = statSync(`${root}/${entry}`);
        if (stat.isDirectory()) expect(stat.mode & 0o077).toBe(0);
      }
    });

    test("upper, where there is one, is where an active snapshot's own files are", () => {
      layer("1", undefined, write("x"));
      within(snapshots.prepare("a", "1"), write("own"));
      const upper = snapshots.upper("a");
      if (upper === undefined) return;
      expect(readdirSync(upper)).toEqual(["own"]);
      expect(existsSync(`${snapshots.upper("a")}/x`)).toBe(false);
      expect(snapshots.upper("1")).toBeUndefined();
    });
  });
}
