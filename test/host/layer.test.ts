/**
 * One layer on a real file system: what entries of every type become, and what the stream must be. Needs root.
 */
import { describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import zlib from "node:zlib";
import { unpackLayer } from "../../src/image/layer/unpack.ts";
import { statAt } from "../../src/kernel/directory.ts";
import { open, withFd } from "../../src/kernel/file.ts";
import { xattrAt } from "../../src/kernel/xattr.ts";
import { OCI_LAYER_GZIP, OCI_LAYER_TAR } from "../../src/spec/image/media-types.ts";
import { directory, file, hard, layerStack, link } from "../support/layer-stack.ts";
import { inPieces, type Member, tar } from "../support/tar-writer.ts";
import { listTree } from "../support/tree-listing.ts";

const { base, layer, view } = layerStack();
const merged = `${base}/merged`;

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
