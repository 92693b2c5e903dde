/**
 * Frames of a zstd stream (RFC 8878), walked from header to header without decompressing. Bun's decompressor takes
 * several frames and skippable ones, but ends without an error on a truncated stream and on what is no frame; this
 * finds both. Not here: decompressing.
 */
import { invalidLayer, overLimit } from "./limits.ts";

const MAGIC = 0xfd2fb528;
/** 0x184D2A50 to 0x184D2A5F. */
const SKIPPABLE = 0x184d2a50;
/** As `zstd --ultra -22` writes; a decoder must hold a whole window in memory. */
const WINDOW_LIMIT = 128 << 20;

const DICTIONARY_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];

type State = "magic" | "descriptor" | "header" | "block" | "checksum" | "skip-size";

/** Looks at a zstd stream chunk by chunk. */
export interface ZstdFrames {
  feed(chunk: Uint8Array): void;
  /** Throws unless the stream ended where a frame may end. */
  finish(): void;
}

/** A walker at the beginning of a stream. */
export function zstdFrames(): ZstdFrames {
  let state: State = "magic";
  /** Bytes of the field being read, and how many it has. */
  const field = new Uint8Array(18);
  const view = new DataView(field.buffer);
  let have = 0;
  let want = 4;
  /** Bytes of a block or a skippable frame still to pass over. */
  let skip = 0;
  let last = false;
  let checksum = false;
  let descriptor = 0;
  let frames = 0;

  function expect(next: State, bytes: number): void {
    state = next;
    have = 0;
    want = bytes;
  }

  function afterBlock(): void {
    if (!last) expect("block", 3);
    else if (checksum) expect("checksum", 4);
    else expect("magic", 4);
  }

  function header(): void {
    const single = (descriptor & 0x20) !== 0;
    if (!single) {
      const exponent = (field[0] ?? 0) >> 3;
      const window = 2 ** (10 + exponent) * (1 + ((field[0] ?? 0) & 7) / 8);
      if (window > WINDOW_LIMIT) throw overLimit(`zstd window of ${window} bytes, at most ${WINDOW_LIMIT}`);
    }
    last = false;
    expect("block", 3);
  }

  /** A field is complete. */
  function step(): void {
    switch (state) {
      case "magic": {
        const magic = view.getUint32(0, true);
        if (magic === MAGIC) expect("descriptor", 1);
        else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) expect("skip-size", 4);
        else throw invalidLayer(frames === 0 ? "not a zstd stream" : "no zstd frame after the last one");
        frames++;
        return;
      }
      case "descriptor": {
        descriptor = field[0] ?? 0;
        checksum = (descriptor & 4) !== 0;
        const single = (descriptor & 0x20) !== 0;
        const size = CONTENT_SIZE_BYTES[descriptor >> 6] ?? 0;
        const bytes = (single ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0);
        expect("header", bytes + (size === 0 && single ? 1 : size));
        return;
      }
      case "header":
        header();
        return;
      case "block": {
        const block = view.getUint16(0, true) | ((field[2] ?? 0) << 16);
        last = (block & 1) !== 0;
        const kind = (block >> 1) & 3;
        if (kind === 3) throw invalidLayer("zstd block of a reserved kind");
        skip = kind === 1 ? 1 : block >> 3;
        if (skip === 0) afterBlock();
        return;
      }
      case "skip-size":
        skip = view.getUint32(0, true);
        last = true;
        checksum = false;
        if (skip === 0) expect("magic", 4);
        return;
      case "checksum":
        expect("magic", 4);
    }
  }

  return {
    feed(chunk) {
      let at = 0;
      while (at < chunk.byteLength) {
        if (skip > 0) {
          const n = Math.min(skip, chunk.byteLength - at);
          skip -= n;
          at += n;
          if (skip === 0) afterBlock();
          continue;
        }
        while (have < want && at < chunk.byteLength) field[have++] = chunk[at++] ?? 0;
        if (have === want) step();
      }
    },
    finish() {
      const boundary = state === "magic" && have === 0 && skip === 0;
      if (!boundary || frames === 0) throw invalidLayer("the zstd stream ends too early");
    },
  };
}
