/**
 * Archives made by GNU tar, in each of its formats, and bombs: unpacked to what tar itself makes of them, with memory
 * that does not grow. Needs root and GNU tar.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import zlib from "node:zlib";
import { unpackLayer } from "../../src/image/layer/unpack.ts";
import { mount, unmount } from "../../src/kernel/mount.ts";
import { OCI_LAYER_TAR, OCI_LAYER_ZSTD } from "../../src/spec/image/media-types.ts";
import { header, member } from "../support/tar-writer.ts";
import { listTree } from "../support/tree-listing.ts";

const base = mkdtempSync("/tmp/ctr-bun-archives-");

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: base, stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

beforeAll(() => {
  mount("tmpfs", base, "tmpfs", []);
  const root = `${base}/source`;
  mkdirSync(`${root}/d/${"deep/".repeat(30)}`, { recursive: true });
  writeFileSync(`${root}/file`, "contents");
  writeFileSync(`${root}/d/${"n".repeat(99)}`, "99");
  run("ln", `${root}/file`, `${root}/hard`);
  run("ln", "-s", "file", `${root}/soft`);
  run("mknod", `${root}/null`, "c", "1", "3");
  run("mkfifo", `${root}/fifo`);
  run("chown", "2000000:3", `${root}/file`);
  run("chmod", "4711", `${root}/file`);
  run("touch", "-d", "2001-02-03 04:05:06", `${root}/file`);
  run("touch", "-d", "1950-01-01", `${root}/soft`, "-h");
});
afterAll(() => {
  unmount(base);
  rmSync(base, { recursive: true });
});

let count = 0;
async function unpack(source: AsyncIterable<Uint8Array>, mediaType: string) {
  const rootPath = `${base}/out${++count}`;
  mkdirSync(rootPath);
  const result = await unpackLayer({ source, mediaType, rootPath, whiteouts: "overlay" });
  return { rootPath, ...result };
}

describe("GNU tar", () => {
  for (const format of ["v7", "ustar", "oldgnu", "gnu", "pax"]) {
    for (const sparse of format.includes("gnu")
      ? [[], ["--sparse"]]
      : format === "pax"
        ? ["0.0", "0.1", "1.0"]
        : [[]]) {
      test(`--format=${format} ${sparse}`, async () => {
        const root = `${base}/${format}${++count}`;
        run("cp", "-a", "source", root);
        const more: string[] = [];
        if (format === "v7" || format === "ustar") {
          // v7 holds no devices, long paths or early times; ustar no early times.
          run("touch", "-h", "-d", "1980-01-01", `${root}/soft`);
          if (format === "v7") run("rm", "-rf", `${root}/null`, `${root}/fifo`, `${root}/d`);
        } else {
          writeFileSync(`${root}/${"long".repeat(50)}`, "long");
          run("ln", "-s", "target".repeat(50), `${root}/long-link`);
          run("truncate", "-s", "5M", `${root}/holes`);
          run("dd", "if=/dev/urandom", `of=${root}/holes`, "bs=4096", "count=1", "seek=300", "conv=notrunc");
          run("dd", "if=/dev/urandom", `of=${root}/holes`, "bs=4096", "count=1", "seek=700", "conv=notrunc");
          for (let at = 0; at < 60; at++)
            run(
              "dd",
              "if=/dev/zero",
              `of=${root}/many`,
              "bs=4096",
              "count=1",
              `seek=${at * 2}`,
              "conv=notrunc",
            );
        }
        if (format === "pax") {
          more.push("--xattrs", "--xattrs-include=*", "--sparse", `--sparse-version=${sparse}`);
          run("setfattr", "-n", "user.k", "-v", "v", `${root}/file`);
          run("touch", "-d", "1969-12-31 23:59:58.25 UTC", `${root}/d`);
        } else if (sparse.length > 0) more.push("--sparse");
        run("tar", `--format=${format}`, "--numeric-owner", ...more, "-cf", `${base}/a.tar`, "-C", root, ".");
        const reference = `${base}/reference${count}`;
        mkdirSync(reference);
        run(
          "tar",
          "--numeric-owner",
          "-p",
          ...(format === "pax" ? ["--xattrs", "--xattrs-include=*"] : []),
          "-xf",
          `${base}/a.tar`,
          "-C",
          reference,
        );
        const { rootPath } = await unpack(Bun.file(`${base}/a.tar`).stream(), OCI_LAYER_TAR);
        expect(listTree(rootPath)).toEqual(listTree(reference));
      });
    }
  }
});

describe("bombs", () => {
  test("4 GiB of zeros in a few hundred bytes of zstd is refused", async () => {
    const frame = zlib.zstdCompressSync(Buffer.alloc(64 << 20));
    async function* source() {
      yield zlib.zstdCompressSync(header({ name: "zeros" }, 2 ** 32));
      for (let index = 0; index < 64; index++) yield frame;
    }
    await expect(unpack(source(), OCI_LAYER_ZSTD)).rejects.toHaveProperty("code", "LAYER_LIMIT");
  }, 60_000);

  test("ten million entries are refused, and memory stays bounded", async () => {
    // In a process of its own, whose memory is its own.
    const script = `
      import { unpackLayer } from ${JSON.stringify(`${import.meta.dir}/../../src/image/layer/unpack.ts`)};
      import { member } from ${JSON.stringify(`${import.meta.dir}/../support/tar-writer.ts`)};
      let peak = 0;
      async function* source() {
        for (let i = 0; i < 10_000; i++) {
          const parts = [];
          for (let j = 0; j < 1000; j++) parts.push(member({ name: "d" + i + "/" + j, type: j === 0 ? "5" : "1", link: "d0/1", ...(i === 0 && j === 1 ? { type: "0" } : {}) }));
          yield Buffer.concat(parts);
          peak = Math.max(peak, process.memoryUsage.rss());
        }
      }
      const error = await unpackLayer({ source: source(), mediaType: ${JSON.stringify(OCI_LAYER_TAR)}, rootPath: process.argv[1], whiteouts: "overlay", limits: { entries: 60_000 } }).catch((thrown) => thrown);
      console.log(JSON.stringify({ code: error.code, peak }));`;
    mkdirSync(`${base}/entries`);
    const child = Bun.spawn([process.execPath, "-e", script, `${base}/entries`]);
    const { code, peak } = JSON.parse(await new Response(child.stdout).text());
    expect(code).toBe("LAYER_LIMIT");
    expect(peak).toBeLessThan(200 << 20);
  }, 60_000);

  test("2 GiB of contents pass with bounded memory", async () => {
    const script = `
      import { unpackLayer } from ${JSON.stringify(`${import.meta.dir}/../../src/image/layer/unpack.ts`)};
      import { header } from ${JSON.stringify(`${import.meta.dir}/../support/tar-writer.ts`)};
      import zlib from "node:zlib";
      let peak = 0;
      const piece = Buffer.alloc(1 << 20);
      for (let at = 0; at < piece.length; at += 16) piece.writeUInt32LE(at * 2654435761 % 4294967296, at);
      const gzip = zlib.gzipSync(piece, { level: 1 });
      async function* source() {
        for (let file = 0; file < 16; file++) {
          yield zlib.gzipSync(header({ name: "f", type: "0" }, 128 << 20));
          for (let i = 0; i < 128; i++) yield gzip;
        }
      }
      const result = await unpackLayer({ source: source(), mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", rootPath: process.argv[1], whiteouts: "overlay", onProgress: () => { peak = Math.max(peak, process.memoryUsage.rss()); } });
      console.log(JSON.stringify({ size: result.size, peak }));`;
    mkdirSync(`${base}/contents`);
    const child = Bun.spawn([process.execPath, "-e", script, `${base}/contents`]);
    const { size, peak } = JSON.parse(await new Response(child.stdout).text());
    expect(size).toBe(2 ** 31 + 16 * 512);
    expect(peak).toBeLessThan(200 << 20);
  }, 60_000);

  test("a million PAX records of one entry are refused by their size", async () => {
    async function* source() {
      yield member({ name: "x", type: "x", data: "12 aaa=bbbb\n".repeat(100_000) });
    }
    await expect(unpack(source(), OCI_LAYER_TAR)).rejects.toHaveProperty("code", "INVALID_LAYER");
  });
});
