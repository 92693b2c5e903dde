// Options of mounts, as the kernel shows them in the container.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, makeBundle, runCommand } from "../support/bundle.ts";
import { makePlaces, sh } from "../support/mounts.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  makePlaces(bundle, "a", "b");
});
afterAll(() => bundle.dispose());

type Mount = { destination: string; type?: string; source?: string; options?: string[] };

/** Options of the mounts at /a, and below it, and of their file systems. */
function shown(...mounts: Mount[]): { mount: string[][]; system: string[][]; err: string } {
  const { out, err } = bundle.run(sh("grep ' /a[ /]' /proc/self/mountinfo"), (config) => {
    config.mounts.push(...mounts);
  });
  const lines = out.trim().split("\n");
  const words = lines.map((line) => line.split(" "));
  return {
    mount: words.map((parts) => (parts[5] ?? "").split(",")),
    system: words.map((parts) => (parts.at(-1) ?? "").split(",")),
    err,
  };
}
const tmpfs = (...options: string[]): Mount => ({
  destination: "/a",
  type: "tmpfs",
  source: "tmpfs",
  options,
});

describe("of a new file system", () => {
  test("those of the mount, each with what takes it back", () => {
    for (const [option, back] of [
      ["ro", "rw"],
      ["nosuid", "suid"],
      ["nodev", "dev"],
      ["noexec", "exec"],
      ["noatime", "atime"],
      ["nodiratime", "diratime"],
      ["nosymfollow", "symfollow"],
    ] as const) {
      expect(shown(tmpfs(option)).mount[0]).toContain(option);
      expect(shown(tmpfs(option, back)).mount[0]).not.toContain(option);
    }
    expect(shown(tmpfs("strictatime")).mount[0]).toEqual(["rw"]);
    expect(shown(tmpfs("strictatime", "nostrictatime")).mount[0]).toEqual(["rw", "relatime"]);
  });

  test("those of the file system as a whole", () => {
    const { system, err } = shown(tmpfs("sync", "dirsync", "lazytime", "size=64k", "silent", "defaults"));
    expect(err).toBe("");
    expect(system[0]).toEqual(expect.arrayContaining(["sync", "dirsync", "lazytime", "size=64k"]));
    expect(shown(tmpfs("async", "nolazytime", "nomand", "noiversion", "loud")).system[0]).not.toContain(
      "sync",
    );
  });

  test("longer than what fsconfig(2) takes", () => {
    const lower = join(bundle.path, "lower".repeat(40));
    const more = join(bundle.path, "more".repeat(40));
    for (const folder of [lower, more]) mkdirSync(folder);
    const options = [`lowerdir=${lower}:${more}`];
    const { system, err } = shown({ destination: "/a", type: "overlay", source: "overlay", options });
    expect({ err, option: system[0]?.[1] }).toEqual({ err: "", option: options[0] ?? "" });
    expect(options[0]?.length).toBeGreaterThan(255);
  });

  test("one that it does not know is an error with the place", () => {
    expect(shown(tmpfs("colour=blue")).err).toContain(
      "mounts[7]: cannot mount tmpfs at /a: invalid argument",
    );
  });
});

describe("of a remount", () => {
  test("the file system is changed, and the mount's other options stay", () => {
    const { mount, system, err } = shown(tmpfs("size=64k", "nodev"), {
      destination: "/a",
      options: ["remount", "size=128k", "sync", "noexec"],
    });
    expect(err).toBe("");
    expect(mount[0]).toEqual(["rw", "nodev", "noexec", "relatime"]);
    expect(system[0]).toEqual(expect.arrayContaining(["sync", "size=128k"]));
  });

  test("with bind only the mount is", () => {
    const { mount, system, err } = shown(tmpfs("size=64k"), {
      destination: "/a",
      options: ["bind", "remount", "ro", "size=128k"],
    });
    expect(err).toContain(
      "mounts[8].options: a bind mount takes no options of file systems, ignored: size=128k",
    );
    expect(mount[0]).toContain("ro");
    expect(system[0]).toContain("size=64k");
  });
});

test("recursive ones reach what is mounted below a bind, plain ones do not", () => {
  const source = join(bundle.path, "tree");
  mkdirSync(join(source, "below"), { recursive: true });
  const mounted = join(source, "below");
  runCommand(["mount", "-t", "tmpfs", "tmpfs", mounted]);
  try {
    const bind = (...options: string[]) =>
      shown({ destination: "/a", source, options: ["rbind", ...options] }).mount.map((each) =>
        each.join(","),
      );
    expect(bind("ro", "nosuid", "noatime")).toEqual(["ro,nosuid,noatime", "rw,relatime"]);
    const all = ["rro", "rnosuid", "rnodev", "rnoexec", "rnodiratime", "rnosymfollow"];
    const words = ["ro", "nosuid", "nodev", "noexec", "nodiratime", "relatime", "nosymfollow"];
    for (const line of bind(...all)) expect(line.split(",").toSorted()).toEqual(words.toSorted());
    for (const line of bind("rnoatime")) expect(line).toBe("rw,noatime");
    for (const line of bind("rstrictatime")) expect(line).toBe("rw");
    const back = ["rrw", "rsuid", "rdev", "rexec", "rdiratime", "rsymfollow", "rrelatime", "rnostrictatime"];
    for (const line of bind(...all, ...back)) expect(line).toBe("rw,relatime");
    for (const line of bind("rnoatime", "ratime")) expect(line).toBe("rw,relatime");
    for (const line of bind("rnorelatime")) expect(line).toBe("rw");
  } finally {
    runCommand(["umount", mounted]);
    rmSync(source, { recursive: true });
  }
});
