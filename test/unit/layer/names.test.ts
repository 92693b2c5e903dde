/** What names in a layer mean. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cleanPath, targetOf } from "../../../src/image/layer/names.ts";

describe("paths", () => {
  for (const [name, path] of [
    ["usr/bin/env", "usr/bin/env"],
    ["./usr/bin/", "usr/bin"],
    ["/etc//passwd", "etc/passwd"],
    ["a/./b/../c", "a/c"],
    ["./", ""],
    ["/", ""],
    ["a/..", ""],
    ["...", "..."],
    [".hidden/..x", ".hidden/..x"],
  ] as const) {
    test(`${name} is ${path === "" ? "the root" : path}`, () => expect(cleanPath(name)).toBe(path));
  }
  for (const name of ["", "..", "../a", "a/../..", "/../etc", "a/../../b"]) {
    test(`${JSON.stringify(name)} is refused`, () => expect(() => cleanPath(name)).toThrow());
  }
  test("no clean path has a component that leads elsewhere", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", ".", "..", "", "b.c", "..."), { minLength: 1 }), (parts) => {
        const name = parts.join("/");
        let path: string;
        try {
          path = cleanPath(name);
        } catch {
          return;
        }
        for (const part of path === "" ? [] : path.split("/")) expect(["", ".", ".."]).not.toContain(part);
      }),
    );
  });
});

describe("whiteouts", () => {
  test("of a name", () => expect(targetOf("a/.wh.b")).toEqual({ kind: "whiteout", parent: "a", base: "b" }));
  test("of a hidden name", () =>
    expect(targetOf(".wh..b")).toEqual({ kind: "whiteout", parent: "", base: ".b" }));
  test("opaque", () => expect(targetOf("a/b/.wh..wh..opq")).toEqual({ kind: "opaque", parent: "a/b" }));
  test("opaque root", () => expect(targetOf("./.wh..wh..opq")).toEqual({ kind: "opaque", parent: "" }));
  test("aufs's own files", () => {
    for (const name of [".wh..wh.aufs", ".wh..wh.plnk/1.2", "./.wh..wh.orph", "a/.wh..wh.x"]) {
      expect(targetOf(name).kind).toBe("ignored");
    }
  });
  test("a name with .wh. inside is none", () => {
    expect(targetOf("a.wh.b/c.wh.d")).toEqual({
      kind: "entry",
      path: "a.wh.b/c.wh.d",
      parent: "a.wh.b",
      base: "c.wh.d",
    });
  });
  for (const name of [".wh.", "a/.wh..", "a/.wh...", ".wh.a/b", "x/.wh.a/b"]) {
    test(`${name} is refused`, () => expect(() => targetOf(name)).toThrow());
  }
});
