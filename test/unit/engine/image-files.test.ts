// Files of an image are hostile: whatever stands at /etc/passwd, reading it ends, inside the root.

import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findUser } from "../../../src/engine/image-files.ts";
import { makeDirectory } from "../../../src/engine/rootfs.ts";

const root = mkdtempSync(join(tmpdir(), "ctr-bun-root-"));
const etc = join(root, "etc");
const passwd = join(etc, "passwd");
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  rmSync(root, { recursive: true });
  mkdirSync(etc, { recursive: true });
});

describe("/etc/passwd", () => {
  test("is read through links, inside the root only", () => {
    writeFileSync(join(root, "real"), "app:x:7:8::/app:\n");
    symlinkSync("/real", passwd);
    expect(findUser(root, "app", "--user")).toEqual({ uid: 7, gid: 8, additionalGids: [8], home: "/app" });
    rmSync(passwd);
    symlinkSync(`../../../../../..${root}/real`, passwd);
    expect(() => findUser(root, "app", "--user")).toThrow("no user");
  });

  test("that is a pipe, a directory or too large is refused at once, and a numeric user still works", () => {
    const hostile: (() => unknown)[] = [
      () => Bun.spawnSync(["mkfifo", passwd]),
      () => mkdirSync(passwd),
      () => writeFileSync(passwd, "x".repeat(1024 * 1024 + 1)),
      () => Bun.spawnSync(["truncate", "-s", "1T", passwd]),
    ];
    for (const make of hostile) {
      rmSync(passwd, { recursive: true, force: true });
      make();
      expect(() => findUser(root, "app", "--user")).toThrow(expect.objectContaining({ code: "UNSAFE_FILE" }));
      expect(findUser(root, "7:8", "--user").uid).toBe(7);
    }
  });

  test("that is a magic link of /proc does not lead out", () => {
    symlinkSync("/proc/self/root/etc/passwd", passwd);
    expect(() => findUser(root, "root", "--user")).toThrow("no user");
  });
});

describe("a working directory", () => {
  test("is made with its parents, once", () => {
    makeDirectory(root, "/a/b/c");
    makeDirectory(root, "/a/b/c");
    writeFileSync(join(root, "a/b/c/there"), "");
  });

  test("that lies behind a link is made inside the root", () => {
    const outside = mkdtempSync(join(tmpdir(), "ctr-bun-outside-"));
    symlinkSync(outside, join(root, "link"));
    expect(() => makeDirectory(root, "/link/made")).toThrow(
      expect.objectContaining({ code: "NOT_A_DIRECTORY" }),
    );
    expect(Bun.spawnSync(["ls", "-A", outside]).stdout.toString()).toBe("");
    rmSync(outside, { recursive: true });
  });

  test("that is a file is refused", () => {
    writeFileSync(join(root, "file"), "");
    expect(() => makeDirectory(root, "/file/x")).toThrow("is not a directory");
  });
});
