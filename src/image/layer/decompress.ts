/**
 * A layer's blob to the tar stream inside: gzip, zstd or nothing. In this process: no helper program is run.
 * Not here: which blob, and the tar itself.
 */
import zlib from "node:zlib";
import { type CtrError, fail } from "../../error.ts";
import {
  DOCKER_FOREIGN_LAYER_GZIP,
  DOCKER_LAYER_GZIP,
  DOCKER_LAYER_TAR,
  OCI_FOREIGN_LAYER_GZIP,
  OCI_FOREIGN_LAYER_TAR,
  OCI_FOREIGN_LAYER_ZSTD,
  OCI_LAYER_GZIP,
  OCI_LAYER_TAR,
  OCI_LAYER_ZSTD,
} from "../../spec/image/media-types.ts";
import { invalidLayer } from "./limits.ts";
import { type ZstdFrames, zstdFrames } from "./zstd-frames.ts";

export type Compression = "none" | "gzip" | "zstd";

const COMPRESSIONS: Readonly<Record<string, Compression>> = {
  [OCI_LAYER_TAR]: "none",
  [OCI_LAYER_GZIP]: "gzip",
  [OCI_LAYER_ZSTD]: "zstd",
  [OCI_FOREIGN_LAYER_TAR]: "none",
  [OCI_FOREIGN_LAYER_GZIP]: "gzip",
  [OCI_FOREIGN_LAYER_ZSTD]: "zstd",
  [DOCKER_LAYER_TAR]: "none",
  [DOCKER_LAYER_GZIP]: "gzip",
  "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
  [DOCKER_FOREIGN_LAYER_GZIP]: "gzip",
};

/** Whether a descriptor's media type is one of a layer that can be unpacked. */
export function isLayerType(mediaType: string): boolean {
  return Object.hasOwn(COMPRESSIONS, mediaType);
}

/** Out of the decompressor at a time: larger is no faster, smaller costs a turn of the event loop each. */
const OUTPUT_CHUNK = 256 * 1024;

/**
 * What a stream is, by its first bytes. A layer that says gzip and is plain tar (or the other way round) is common
 * enough that Docker and containerd go by the bytes alone; so does this.
 */
function compressionOf(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  const zstd = head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd && head[0] === 0x28;
  const skippable =
    ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
  return zstd || skippable ? "zstd" : "none";
}

/**
 * The uncompressed bytes of a layer. Gzip may have several members, and zero bytes after the last (gzip(1) pads so);
 * zstd may have several frames, and skippable ones. Truncated or corrupt data throw INVALID_LAYER.
 * @throws CtrError UNSUPPORTED for a media type that is no layer's.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  mediaType: string,
): AsyncGenerator<Uint8Array, void, void> {
  if (!isLayerType(mediaType)) {
    throw fail({
      code: "UNSUPPORTED",
      message: `cannot unpack a layer of media type ${JSON.stringify(mediaType.slice(0, 200))}`,
      hint: "only tar layers, plain or with gzip or zstd, can be unpacked",
    });
  }
  const iterator = source[Symbol.asyncIterator]();
  const { head, ended } = await firstBytes(iterator);
  const all = continued(head, ended, iterator);
  const compression = compressionOf(head);
  if (compression === "none") yield* all;
  else yield* inflated(all, compression);
}

/** At least four bytes, if the stream has them. */
async function firstBytes(
  iterator: AsyncIterator<Uint8Array>,
): Promise<{ head: Uint8Array; ended: boolean }> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.byteLength < 4) {
    const next = await iterator.next();
    if (next.done === true) return { head, ended: true };
    head = head.byteLength === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return { head, ended: false };
}

async function* continued(
  head: Uint8Array,
  ended: boolean,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    if (head.byteLength > 0) yield head;
    while (!ended) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    if (!ended) await iterator.return?.();
  }
}

async function* inflated(
  source: AsyncIterable<Uint8Array>,
  compression: "gzip" | "zstd",
): AsyncGenerator<Uint8Array, void, void> {
  const options = {
    chunkSize: OUTPUT_CHUNK,
    readableHighWaterMark: 4 * OUTPUT_CHUNK,
    writableHighWaterMark: 1 << 20,
  };
  const stream = compression === "gzip" ? zlib.createGunzip(options) : zlib.createZstdDecompress(options);
  const frames = compression === "zstd" ? zstdFrames() : undefined;
  const fed = feed(source, stream, frames);
  // Whatever goes wrong on the way in is thrown below, by destroy(); this keeps it from being unhandled meanwhile.
  fed.catch(() => {});
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
    await fed;
  } catch (error) {
    throw decompressionError(error, compression);
  } finally {
    stream.destroy();
  }
}

/** Writes the source into the decompressor, and looks at what comes after its end. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  stream: zlib.Gunzip | zlib.ZstdDecompress,
  frames: ZstdFrames | undefined,
): Promise<void> {
  let written = 0;
  let last: Uint8Array = new Uint8Array(0);
  try {
    for await (const chunk of source) {
      frames?.feed(chunk);
      if (stream.destroyed) return;
      if (stream.readableEnded) {
        zerosOnly(chunk);
        continue;
      }
      written += chunk.byteLength;
      last = chunk;
      if (!stream.write(chunk)) await drained(stream);
    }
    frames?.finish();
    stream.end();
    if (!stream.readableEnded) await ended(stream);
  } catch (error) {
    stream.destroy(error instanceof Error ? error : undefined);
    throw error;
  }
  // gzip: the decompressor stops where no further member begins, and leaves the rest.
  const left = written - stream.bytesWritten;
  if (left > 0) zerosOnly(last.subarray(Math.max(0, last.byteLength - left)));
}

function zerosOnly(bytes: Uint8Array): void {
  if (bytes.some((byte) => byte !== 0))
    throw invalidLayer("there are bytes after the end of the gzip stream");
}

/** Resolves when the stream takes more, or never will. */
function drained(stream: zlib.Gunzip | zlib.ZstdDecompress): Promise<void> {
  return settled(stream, ["drain", "end", "close", "error"]);
}

function ended(stream: zlib.Gunzip | zlib.ZstdDecompress): Promise<void> {
  return stream.destroyed ? Promise.resolve() : settled(stream, ["end", "close", "error"]);
}

function settled(stream: zlib.Gunzip | zlib.ZstdDecompress, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) stream.off(event, done);
      resolve();
    };
    for (const event of events) stream.on(event, done);
  });
}

function decompressionError(error: unknown, compression: string): CtrError | Error {
  if (!(error instanceof Error) || !("code" in error)) return error as Error;
  const code = String(error.code);
  if (code === "Z_BUF_ERROR") return invalidLayer(`the ${compression} stream ends too early`);
  const known = /^(Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(code);
  return known ? invalidLayer(`corrupt ${compression} data: ${error.message}`) : error;
}
