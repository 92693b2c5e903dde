/**
 * Layers on a real file system: what entries and whiteouts do, alone and over lower layers. An overlay result is
 * looked at as the kernel shows it: mounted. Needs root.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import zlib from "node:zlib";
import { type UnpackOptions, unpackLayer } from "../../src/image/layer/unpack.ts";
import { statAt } from "../../src/kernel/directory.ts";
import { open, withFd } from "../../src/kernel/file.ts";
import { mount, unmount } from "../../src/kernel/mount.ts";
import { xattrAt } from "../../src/kernel/xattr.ts";
import { OCI_LAYER_GZIP, OCI_LAYER_TAR } from "../../src/spec/image/media-types.ts";
import { inPieces, type Member, tar } from "../support/tar-writer.ts";
import { listTree } from "../support/tree-listing.ts";

const base = mkdtempSync("/tmp/ctr-bun-layer-");
mount("tmpfs", base, "tmpfs", []);
afterAll(() => {
  unmount(base);
  rmSync(base, { recursive: true });
});

let layers: string[] = [];
const merged = `${base}/merged`;
let mounted = false;
beforeEach(() => {
  layers = [];
  mounted = false;
});
afterEach(() => {
  if (mounted) unmount(merged);
  for (const name of readdirSync(base)) rmSync(`${base}/${name}`, { recursive: true, force: true });
});

/** Unpacks one more layer on top of those before it. */
async function layer(members: readonly Member[], more: Partial<UnpackOptions> = {}) {
  const rootPath = `${base}/${layers.length}`;
  mkdirSync(rootPath);
  const lower = [...layers].reverse();
  const result = await unpackLayer({
    source: inPieces(tar(members), 1000),
    mediaType: OCI_LAYER_TAR,
    rootPath,
    whiteouts: "overlay",
    lower,
    ...more,
  });
  layers.push(rootPath);
  return result;
}

/** The layers as overlayfs shows them. */
function view(): string {
  mkdirSync(merged, { recursive: true });
  const lower = [...layers].reverse();
  if (lower.length === 1) mount(lower[0] ?? "", merged, "", ["bind", "ro"]);
  else mount("overlay", merged, "overlay", ["ro", `lowerdir=${lower.join(":")}`]);
  mounted = true;
  return merged;
}

const file = (name: string, data = name): Member => ({ name, data });
const directory = (name: string, more: Partial<Member> = {}): Member => ({ name, type: "5", ...more });
const link = (name: string, to: string): Member => ({ name, type: "2", link: to });
const hard = (name: string, to: string): Member => ({ name, type: "1", link: to });
const text = (path: string) => readFileSync(`${view()}/${path}`, "utf8");

describe("one layer", () => {
  test("owner, mode, times and attributes of every type", async () => {
    const capability = Buffer.from("0100000202000000000000000000000000000000", "hex");
    const xattr = ["SCHILY.xattr.trusted.test", "value"] as const;
    await layer([
      directory("d", {
        mode: 0o1777,
        uid: 1,
        gid: 2,
        mtime: 1000,
        pax: [["mtime", "1000.000000001"], xattr],
      }),
      {
        name: "d/f",
        data: "x",
        mode: 0o6755,
        uid: 3,
        gid: 4,
        pax: [["mtime", "-5.25"], xattr, ["SCHILY.xattr.security.capability", capability]],
      },
      { ...link("d/l", "nowhere"), uid: 5, gid: 6, mtime: 2000, pax: [xattr] },
      { name: "d/p", type: "6", mode: 0o620, uid: 7, gid: 8, mtime: 3000 },
      { name: "d/c", type: "3", major: 1, minor: 3, mode: 0o666, mtime: 4000, pax: [xattr] },
      { name: "d/b", type: "4", major: 259, minor: 70_000, mode: 0o660, mtime: 5000 },
      { name: "d/cont", type: "7", data: "contiguous", mtime: 6000 },
    ]);
    const hex = Buffer.from("value").toString("hex");
    expect(listTree(`${base}/0`, { anyTime: (path) => path === "." })).toEqual([
      ". 4 755 0:0",
      `d 4 1777 1:2 1000.000000001 trusted.test=${hex}`,
      "d/b 6 660 0:0 5000.000000000 259:70000",
      `d/c 2 666 0:0 4000.000000000 1:3 trusted.test=${hex}`,
      expect.stringMatching(/^d\/cont 10 644 0:0 6000\.000000000 10 /),
      expect.stringMatching(
        new RegExp(
          `^d/f 10 6755 3:4 -6\\.750000000 1 \\S+ security.capability=${capability.toString("hex")} trusted.test=${hex}$`,
        ),
      ),
      `d/l 12 777 5:6 2000.000000000 -> nowhere trusted.test=${hex}`,
      "d/p 1 620 7:8 3000.000000000 0:0",
    ]);
  });

  test("directories keep their times whatever is made in them later, and implied ones are root's", async () => {
    await layer([
      directory("a", { mtime: 77 }),
      file("a/b/c/d"),
      file("a/e"),
      directory("a/b", { mtime: 88, mode: 0o700 }),
    ]);
    const of = (path: string) => listTree(`${base}/0`).find((line) => line.startsWith(`${path} `));
    expect(of("a")).toBe("a 4 755 0:0 77.000000000");
    expect(of("a/b")).toBe("a/b 4 700 0:0 88.000000000");
    expect(of("a/b/c")).toBe("a/b/c 4 755 0:0 0.000000000");
  });

  test("the root's own entry", async () => {
    await layer([directory("./", { mode: 0o711, uid: 9, mtime: 5 }), file("./a")]);
    expect(listTree(`${base}/0`)[0]).toBe(". 4 711 9:0 5.000000000");
  });

  test("a later entry takes an earlier one's place", async () => {
    await layer([
      directory("a"),
      file("a/x"),
      file("a", "now a file"),
      link("b", "a"),
      directory("b"),
      file("b/y"),
      file("c"),
      link("c", "b"),
    ]);
    expect(readdirSync(view()).sort()).toEqual(["a", "b", "c"]);
    expect(readFileSync(`${merged}/a`, "utf8")).toBe("now a file");
    expect(lstatSync(`${merged}/b`).isDirectory()).toBe(true);
    expect(readlinkSync(`${merged}/c`)).toBe("b");
  });

  test("hard links, also to links and devices, share the file and its attributes", async () => {
    await layer([
      { name: "a", data: "x", mode: 0o4755 },
      { ...hard("b", "a"), mode: 0o600, uid: 5 },
      link("l", "a"),
      hard("m", "./l"),
      { name: "p", type: "6" },
      hard("q", "/p"),
    ]);
    const root = `${base}/0`;
    for (const [one, other] of [
      ["a", "b"],
      ["l", "m"],
      ["p", "q"],
    ]) {
      expect(lstatSync(`${root}/${one}`).ino).toBe(lstatSync(`${root}/${other}`).ino);
    }
    expect(statSync(`${root}/a`).mode & 0o7777).toBe(0o4755);
    expect(statSync(`${root}/a`).uid).toBe(0);
  });

  test("names that are no text", async () => {
    const name = Buffer.from([0x66, 0xff, 0xc0]);
    await layer([{ name: "x", data: "1", patch: (block) => block.set(name) }]);
    withFd(open(`${base}/0`, 0), (fd) => expect(statAt(fd, name.toString("latin1"))?.size).toBe(1));
  });

  test("holes stay holes", async () => {
    await layer([
      {
        name: "s",
        data: "x",
        pax: [
          ["GNU.sparse.map", "1048576,1"],
          ["GNU.sparse.size", "1073741824"],
        ],
      },
    ]);
    const stat = statSync(`${base}/0/s`);
    expect([stat.size, stat.blocks < 100]).toEqual([1 << 30, true]);
  });

  test("whiteouts over nothing leave no mark", async () => {
    await layer([directory("a"), file("a/.wh.gone"), file("a/.wh..wh..opq"), file("nowhere/.wh.x")]);
    expect(listTree(`${base}/0`).length).toBe(2);
  });

  test("a file below a link of the same layer goes where the link leads", async () => {
    await layer([
      directory("usr/lib"),
      link("lib", "usr/lib"),
      file("lib/a"),
      link("abs", "/usr"),
      file("abs/lib/b"),
      hard("c", "abs/lib/b"),
    ]);
    expect(readdirSync(`${base}/0/usr/lib`).sort()).toEqual(["a", "b"]);
    expect(statSync(`${base}/0/c`).nlink).toBe(2);
  });
});

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

describe("applied to a tree", () => {
  test("removals go, what the layer brings stays, times are kept", async () => {
    const options = { rootPath: `${base}/tree`, whiteouts: "remove" as const, mediaType: OCI_LAYER_TAR };
    mkdirSync(options.rootPath);
    const apply = async (members: Member[]) =>
      await unpackLayer({ ...options, source: inPieces(tar(members), 999) });
    await apply([
      directory("d", { mtime: 11 }),
      file("d/old"),
      file("d/sub/old"),
      file("gone/x"),
      link("l", "d"),
      file("e/old"),
    ]);
    await apply([
      file("d/new"),
      file("d/.wh.old"),
      file(".wh.gone"),
      file("l/sub/new"),
      file("e/new"),
      file("e/.wh..wh..opq"),
    ]);
    const names = listTree(options.rootPath).map((line) => line.split(" ")[0]);
    expect(names).toEqual([".", "d", "d/new", "d/sub", "d/sub/new", "d/sub/old", "e", "e/new", "l"]);
    expect(Math.floor(statSync(`${options.rootPath}/d`).mtimeMs)).toBe(11_000);
  });
});

describe("the stream", () => {
  test("its digest is of all bytes, those after the archive's end too, and a wrong one keeps nothing", async () => {
    const bytes = Buffer.concat([tar([file("a")]), Buffer.alloc(5120, "rubbish")]);
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
    const gzip = zlib.gzipSync(bytes);
    const source = () => inPieces(gzip, 100);
    const result = await layer([], { source: source(), mediaType: OCI_LAYER_GZIP, diffID: digest });
    expect(result).toEqual({ diffID: digest, size: bytes.byteLength, entries: 1 });
    const wrong = `sha256:${"0".repeat(64)}`;
    const failed = layer([], { source: source(), mediaType: OCI_LAYER_GZIP, diffID: wrong });
    await expect(failed).rejects.toThrow(new RegExp(`${digest}.*${wrong}`));
    await failed.catch(() => {});
    expect(readdirSync(`${base}/1`)).toEqual([]);
  });

  test("a directory that is not empty is refused and left alone", async () => {
    await layer([file("a")]);
    const again = unpackLayer({
      source: inPieces(tar([file("b")]), 512),
      mediaType: OCI_LAYER_TAR,
      rootPath: `${base}/0`,
      whiteouts: "overlay",
    });
    await expect(again).rejects.toThrow("empty directory");
    await again.catch(() => {});
    expect(readdirSync(`${base}/0`)).toEqual(["a"]);
  });

  test("limits: entries, bytes, size of a file", async () => {
    const members = [file("a"), file("b"), file("c")];
    for (const limits of [{ entries: 2 }, { bytes: 2000 }, { fileSize: 0 }]) {
      const failed = layer(members, { limits });
      await expect(failed).rejects.toHaveProperty("code", "LAYER_LIMIT");
      await failed.catch(() => {});
      rmSync(`${base}/0`, { recursive: true });
    }
  });
});

test("overlay's own attributes are never set", async () => {
  await layer([
    directory("d", {
      pax: [
        ["SCHILY.xattr.trusted.overlay.opaque", "y"],
        ["SCHILY.xattr.user.ok", "1"],
      ],
    }),
  ]);
  withFd(open(`${base}/0`, 0), (fd) => {
    expect(xattrAt(fd, "d", "trusted.overlay.opaque")).toBeUndefined();
    expect(xattrAt(fd, "d", "user.ok")).toEqual(new Uint8Array([0x31]));
  });
});
