/**
 * Layers over lower layers: whiteouts, replaced files, parents and links that a lower layer has. The result is looked
 * at as the kernel shows it: mounted. Needs root.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { directory, file, hard, layerStack, link } from "../support/layer-stack.ts";
import { listTree } from "../support/tree-listing.ts";

const { base, layer, layers, view } = layerStack();
const merged = `${base}/merged`;
const text = (path: string) => readFileSync(`${view()}/${path}`, "utf8");

describe("over a lower layer", () => {
  test("removed files, directories and links", async () => {
    await layer([file("a"), file("d/x"), link("l", "a"), file("keep")]);
    await layer([file(".wh.a"), file(".wh.d"), file(".wh.l")]);
    expect(readdirSync(view())).toEqual(["keep"]);
  });

  for (const [order, members] of [
    ["first", [file("d/.wh..wh..opq"), file("d/new")]],
    ["last", [file("d/new"), file("d/.wh..wh..opq")]],
  ] as const) {
    test(`an opaque directory, the mark ${order}`, async () => {
      await layer([directory("d", { mode: 0o750, mtime: 5 }), file("d/old"), file("d/sub/old")]);
      await layer(members);
      expect(readdirSync(`${view()}/d`)).toEqual(["new"]);
    });
    test(`a whiteout and a new directory of the same name, the whiteout ${order}`, async () => {
      await layer([file("d/old")]);
      const [one, other] = [file(".wh.d"), directory("d")];
      await layer(order === "first" ? [one, other, file("d/new")] : [other, file("d/new"), one]);
      expect(readdirSync(`${view()}/d`)).toEqual(["new"]);
    });
    test(`a whiteout and a new file of the same name, the whiteout ${order}`, async () => {
      await layer([file("f", "old")]);
      await layer(order === "first" ? [file(".wh.f"), file("f", "new")] : [file("f", "new"), file(".wh.f")]);
      expect(text("f")).toBe("new");
    });
  }

  test("an opaque root", async () => {
    await layer([file("a"), file("d/b")]);
    await layer([file(".wh..wh..opq"), file("d/c")]);
    expect(listTree(view()).map((line) => line.split(" ")[0])).toEqual([".", "d", "d/c"]);
  });

  test("a whiteout of a directory that has only removals of its own", async () => {
    await layer([file("d/a"), file("d/b")]);
    await layer([file("d/.wh.a"), file(".wh.d")]);
    expect(readdirSync(view())).toEqual([]);
  });

  test("a parent that the layer does not bring keeps owner, mode, attributes and times", async () => {
    await layer([
      directory("etc", { mode: 0o751, uid: 10, gid: 20, mtime: 4242, pax: [["SCHILY.xattr.user.k", "v"]] }),
      file("etc/old"),
    ]);
    await layer([file("etc/new"), file("etc/.wh.old")]);
    const line = listTree(view()).find((it) => it.startsWith("etc "));
    expect(line).toBe(`etc 4 751 10:20 4242.000000000 user.k=${Buffer.from("v").toString("hex")}`);
    expect(readdirSync(`${merged}/etc`)).toEqual(["new"]);
  });

  test("a directory entry replaces the lower directory's attributes", async () => {
    await layer([directory("d", { mode: 0o777, uid: 1, pax: [["SCHILY.xattr.user.k", "v"]] }), file("d/a")]);
    await layer([file("d/b"), directory("d", { mode: 0o700, mtime: 3 })]);
    expect(listTree(view()).find((line) => line.startsWith("d "))).toBe("d 4 700 0:0 3.000000000");
    expect(readdirSync(`${merged}/d`).sort()).toEqual(["a", "b"]);
  });

  test("a link of a lower layer is followed, several layers down, absolute and relative", async () => {
    await layer([directory("usr/lib", { mode: 0o711 }), link("lib", "usr/lib"), link("usr/abs", "/usr/lib")]);
    await layer([file("other")]);
    await layer([file("lib/a"), file("usr/abs/b"), file("usr/abs/../c")]);
    expect(readlinkSync(`${view()}/lib`)).toBe("usr/lib");
    expect(readdirSync(`${merged}/usr/lib`).sort()).toEqual(["a", "b"]);
    expect(statSync(`${merged}/usr/lib`).mode & 0o777).toBe(0o711);
    expect(existsSync(`${merged}/usr/c`)).toBe(true);
  });

  test("a directory takes the place of a link, a file that of a directory", async () => {
    await layer([directory("usr/lib"), file("usr/lib/x"), link("lib", "usr/lib"), file("d/y"), file("f")]);
    await layer([directory("lib"), file("lib/a"), file("d", "file"), directory("f"), file("f/z")]);
    expect(readdirSync(`${view()}/lib`)).toEqual(["a"]);
    expect(readFileSync(`${merged}/d`, "utf8")).toBe("file");
    expect(readdirSync(`${merged}/f`)).toEqual(["z"]);
    expect(readdirSync(`${merged}/usr/lib`)).toEqual(["x"]);
  });

  test("a file, then a directory in its place, hides the lower directory", async () => {
    await layer([file("d/old")]);
    await layer([file("d"), directory("d"), file("d/new")]);
    expect(readdirSync(`${view()}/d`)).toEqual(["new"]);
  });

  test("what was removed in between does not come back", async () => {
    await layer([file("d/a"), link("l", "d")]);
    await layer([file(".wh.d"), file("l/.wh..wh..opq"), file(".wh.l")]);
    await layer([file("d/b"), file("l/c")]);
    expect(readdirSync(`${view()}/d`)).toEqual(["b"]);
    expect(lstatSync(`${merged}/l`).isDirectory()).toBe(true);
  });

  test("a hard link to a lower file: one file under both names, in every attribute", async () => {
    await layer([
      directory("bin", { mode: 0o711, mtime: 7 }),
      {
        name: "bin/a",
        data: "contents",
        mode: 0o4751,
        uid: 3,
        mtime: 99,
        pax: [["SCHILY.xattr.user.k", "v"]],
      },
    ]);
    await layer([hard("b", "bin/a")]);
    const lines = listTree(view(), { anyTime: (path) => path === "." });
    const rest = (path: string) => lines.find((line) => line.startsWith(`${path} `))?.slice(path.length);
    expect(rest("b")).toContain(" 4751 3:0 99.000000000");
    expect(rest("bin/a")).toBe(rest("b"));
    expect(rest("bin")).toBe(" 4 711 0:0 7.000000000");
    expect(lstatSync(`${merged}/b`).ino).toBe(lstatSync(`${merged}/bin/a`).ino);
  });

  test("a hard link to a lower file that the layer then removes", async () => {
    await layer([file("a", "contents")]);
    await layer([hard("b", "a"), file(".wh.a")]);
    expect(text("b")).toBe("contents");
    expect(readdirSync(merged)).toEqual(["b"]);
  });

  test("a hard link to a file that a layer removed is refused", async () => {
    await layer([file("a")]);
    await layer([file(".wh.a")]);
    await expect(layer([hard("b", "a")])).rejects.toThrow("does not exist");
  });

  test("a hard link to a file that this layer removed is refused", async () => {
    await layer([file("a")]);
    await expect(layer([file(".wh.a"), hard("b", "a")])).rejects.toThrow("does not exist");
  });

  test("the layers below are waited for only when they are needed", async () => {
    await layer([directory("etc", { mode: 0o750 }), file("etc/a")]);
    const lower = [...layers];
    let asked = 0;
    const later = async () => {
      asked++;
      await Bun.sleep(5);
      return lower;
    };
    await layer([directory("opt"), file("opt/x"), hard("opt/y", "opt/x"), file(".wh.gone")], {
      lower: later,
    });
    expect(asked).toBe(0);
    await layer([file("opt/z"), file("etc/b")], { lower: later });
    expect(asked).toBe(1);
    expect(statSync(`${layers.at(-1)}/etc`).mode & 0o777).toBe(0o750);
  });
});
