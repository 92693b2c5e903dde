/** Options of mounts, as mount(8) and the specification spell them, in the terms of the mount API. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "../../../src/kernel/constants.ts";
import { changesAnything, parseMountOptions } from "../../../src/plan/mount-options.ts";

const attributes = (...options: string[]) => parseMountOptions("tmpfs", options).attributes;

describe("options of any file system", () => {
  const data = (...options: string[]) => parseMountOptions("tmpfs", options).data;

  test("come before those of its type; what is the default anyway is left out", () => {
    expect(data("size=1m", "sync", "dirsync", "lazytime", "mand")).toEqual([
      "sync",
      "dirsync",
      "lazytime",
      "mand",
      "size=1m",
    ]);
    expect(data("async", "nolazytime", "nomand", "defaults", "silent", "loud", "")).toEqual([]);
  });

  test("take back what a file system has that is remounted", () => {
    expect(data("remount", "async", "nolazytime", "nomand")).toEqual(["async", "nolazytime", "nomand"]);
  });

  test("are nothing to a bind mount", () => {
    expect(parseMountOptions("none", ["bind", "sync", "iversion"])).toMatchObject({
      data: [],
      iversion: false,
    });
  });

  test("iversion is a flag, and the later of two counts", () => {
    expect(parseMountOptions("ext4", ["iversion"])).toMatchObject({ data: [], iversion: true });
    expect(parseMountOptions("ext4", ["iversion", "noiversion"]).iversion).toBe(false);
  });
});

describe("attributes", () => {
  test("are set, and cleared where they are taken back", () => {
    expect(attributes("ro", "nosuid", "nodev", "noexec")).toEqual({
      set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
      clear: 0,
    });
    expect(attributes("suid", "exec")).toEqual({ set: 0, clear: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC });
  });

  test("follow the later of two options", () => {
    expect(attributes("ro", "rw")).toEqual({ set: 0, clear: MOUNT_ATTR_RDONLY });
    expect(attributes("rw", "ro")).toEqual({ set: MOUNT_ATTR_RDONLY, clear: 0 });
    expect(attributes("nosuid", "ro", "suid", "nosuid")).toEqual({
      set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
      clear: 0,
    });
  });

  test("have one field for access times, which is cleared whole and set anew", () => {
    const all = MOUNT_ATTR__ATIME;
    expect(attributes("noatime")).toEqual({ set: MOUNT_ATTR_NOATIME, clear: all });
    expect(attributes("noatime", "strictatime").set).toBe(MOUNT_ATTR_STRICTATIME);
    expect(attributes("strictatime", "relatime")).toEqual({ set: 0, clear: all });
    expect(attributes("norelatime")).toEqual(attributes("strictatime"));
  });

  test("never set and clear one bit, whatever the options, but for access times", () => {
    const words =
      "ro rw nosuid suid nodev dev noexec exec noatime atime strictatime relatime nodiratime".split(" ");
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words)), (options) => {
        const { set, clear } = attributes(...options);
        expect(set & clear & ~MOUNT_ATTR__ATIME).toBe(0);
        const access = set & MOUNT_ATTR__ATIME;
        expect([0, MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME]).toContain(access);
        // mount_setattr(2) takes a setting only together with clearing all of the field.
        if (access !== 0) expect(clear & MOUNT_ATTR__ATIME).toBe(MOUNT_ATTR__ATIME);
      }),
    );
  });

  test("of r-variants are for the mount and all below it", () => {
    const parsed = parseMountOptions("bind", ["rro", "rnosuid", "nodev"]);
    expect(parsed.recursiveAttributes).toEqual({ set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, clear: 0 });
    expect(parsed.attributes).toEqual({ set: MOUNT_ATTR_NODEV, clear: 0 });
    expect(parseMountOptions("bind", ["rro", "rrw"]).recursiveAttributes).toEqual({
      set: 0,
      clear: MOUNT_ATTR_RDONLY,
    });
  });

  test("relatime and rw, which begin with an r, are no r-variants", () => {
    const parsed = parseMountOptions("bind", ["relatime", "rw"]);
    expect(parsed.recursiveAttributes).toEqual({ set: 0, clear: 0 });
    expect(parsed.data).toEqual([]);
  });
});

test("propagation keeps its order, and is recursive with an r", () => {
  expect(parseMountOptions("bind", ["private", "rslave", "shared", "runbindable"]).propagation).toEqual([
    { flag: MS_PRIVATE, recursive: false },
    { flag: MS_SLAVE, recursive: true },
    { flag: MS_SHARED, recursive: false },
    { flag: MS_UNBINDABLE, recursive: true },
  ]);
});

test("a mount is a bind mount by its type or by its options", () => {
  expect(parseMountOptions("bind", [])).toMatchObject({ bind: true, recursive: false });
  expect(parseMountOptions(undefined, ["bind"])).toMatchObject({ bind: true, recursive: false });
  expect(parseMountOptions("none", ["rbind"])).toMatchObject({ bind: true, recursive: true });
  expect(parseMountOptions("tmpfs", ["ro"])).toMatchObject({ bind: false, recursive: false });
});

test("what is no option of mounts is one of the file system, in order", () => {
  const { data } = parseMountOptions("tmpfs", ["mode=755", "ro", "size=64k", "newinstance", "", "size=1m"]);
  expect(data).toEqual(["mode=755", "size=64k", "newinstance", "size=1m"]);
});

test("what is the default, or concerns mount(8) alone, has no effect", () => {
  const parsed = parseMountOptions("tmpfs", ["defaults", "async", "loud", "silent", "nolazytime"]);
  expect(parsed.data).toEqual([]);
  expect(changesAnything(parsed.attributes)).toBe(false);
});

test("remount, tmpcopyup and ID maps are told", () => {
  expect(parseMountOptions(undefined, ["remount"]).remount).toBe(true);
  expect(parseMountOptions("tmpfs", ["tmpcopyup"]).tmpcopyup).toBe(true);
  expect(parseMountOptions("bind", ["idmap"]).idmap).toBe("idmap");
  expect(parseMountOptions("bind", ["idmap", "ridmap"]).idmap).toBe("ridmap");
});
