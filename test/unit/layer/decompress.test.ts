/** Compressed layers: members and frames, padding, damage. */
import { describe, expect, test } from "bun:test";
import zlib from "node:zlib";
import { decompress } from "../../../src/image/layer/decompress.ts";
import { OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD } from "../../../src/spec/image/media-types.ts";
import { inPieces } from "../../support/tar-writer.ts";

const text = Buffer.from(Array.from({ length: 40_000 }, (_, index) => `line ${index * 7919}\n`).join(""));
const gzip = zlib.gzipSync(text);
const zstd = zlib.zstdCompressSync(text);
const zstdSum = zlib.zstdCompressSync(text, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
const emptySkippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);

async function all(bytes: Uint8Array, mediaType: string, piece: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of decompress(inPieces(bytes, piece), mediaType)) parts.push(part);
  return Buffer.concat(parts);
}

for (const piece of [1000, 65536]) {
  describe(`in pieces of ${piece} bytes`, () => {
    const good: [name: string, bytes: Uint8Array, times: number][] = [
      ["gzip", gzip, 1],
      ["gzip of two members", Buffer.concat([gzip, gzip]), 2],
      ["gzip with an empty member", Buffer.concat([gzip, zlib.gzipSync(""), gzip]), 2],
      ["gzip with zero padding", Buffer.concat([gzip, Buffer.alloc(3000)]), 1],
      ["zstd", zstd, 1],
      ["zstd with checksum", zstdSum, 1],
      ["zstd of two frames", Buffer.concat([zstd, zstdSum]), 2],
      [
        "zstd with skippable frames",
        Buffer.concat([skippable, zstd, skippable, emptySkippable, zstd, skippable]),
        2,
      ],
      ["zstd with an empty frame", Buffer.concat([zstd, zlib.zstdCompressSync(""), zstd]), 2],
      ["plain", text, 1],
    ];
    for (const [name, bytes, times] of good) {
      test(name, async () => {
        const expected = Buffer.concat(Array.from({ length: times }, () => text));
        expect((await all(bytes, OCI_LAYER_TAR, piece)).equals(expected)).toBe(true);
      });
    }

    const flipped = (bytes: Uint8Array, at: number) => {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 0x55;
      return copy;
    };
    const bad: [name: string, bytes: Uint8Array][] = [
      ["gzip cut in its data", gzip.subarray(0, gzip.length - 2000)],
      ["gzip cut in its trailer", gzip.subarray(0, gzip.length - 3)],
      ["gzip cut in the second member", Buffer.concat([gzip, gzip.subarray(0, 5)])],
      ["gzip with a wrong checksum", flipped(gzip, gzip.length - 6)],
      ["gzip followed by rubbish", Buffer.concat([gzip, Buffer.from("rubbish")])],
      ["gzip, zeros, and another member", Buffer.concat([gzip, Buffer.alloc(20), gzip])],
      ["zstd cut in its data", zstd.subarray(0, zstd.length - 100)],
      ["zstd cut in the second frame", Buffer.concat([zstd, zstd.subarray(0, 200)])],
      ["zstd cut in the second magic number", Buffer.concat([zstd, zstd.subarray(0, 3)])],
      ["zstd cut in a skippable frame", Buffer.concat([zstd, skippable.subarray(0, 10)])],
      ["zstd cut in its checksum", zstdSum.subarray(0, zstdSum.length - 2)],
      ["zstd with a wrong checksum", flipped(zstdSum, zstdSum.length - 1)],
      ["zstd followed by rubbish", Buffer.concat([zstd, Buffer.from("rubbish")])],
      ["zstd followed by zeros", Buffer.concat([zstd, Buffer.alloc(100)])],
      ["zstd with a window of 2 GiB", Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8]), zstd])],
    ];
    for (const [name, bytes] of bad) {
      test(`${name} is an error`, async () => {
        const error: unknown = await all(bytes, OCI_LAYER_GZIP, piece).catch((thrown) => thrown);
        expect(error).toHaveProperty("code", name.includes("window") ? "LAYER_LIMIT" : "INVALID_LAYER");
      });
    }
  });
}

test("a stream goes by its first bytes, whatever its media type says", async () => {
  expect((await all(gzip, OCI_LAYER_ZSTD, 3)).equals(text)).toBe(true);
  expect((await all(text, OCI_LAYER_GZIP, 1 << 20)).equals(text)).toBe(true);
});

test("an empty stream is an empty layer", async () => {
  expect((await all(Buffer.alloc(0), OCI_LAYER_TAR, 1)).byteLength).toBe(0);
});

test("what is no layer is refused", async () => {
  const error: unknown = await all(gzip, "application/vnd.oci.image.config.v1+json", 100).catch(
    (thrown) => thrown,
  );
  expect(error).toHaveProperty("code", "UNSUPPORTED");
});

test("a source that fails gives its own error, and one that is left is closed", async () => {
  async function* failing() {
    yield gzip.subarray(0, 500);
    throw new Error("the network is down");
  }
  const read = async () => {
    for await (const _ of decompress(failing(), OCI_LAYER_GZIP));
  };
  await expect(read()).rejects.toThrow("the network is down");

  let closed = false;
  async function* endless() {
    try {
      for (;;) yield gzip;
    } finally {
      closed = true;
    }
  }
  for await (const _ of decompress(endless(), OCI_LAYER_GZIP)) break;
  await Bun.sleep(50);
  expect(closed).toBe(true);
});
