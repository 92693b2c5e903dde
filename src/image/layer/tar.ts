/**
 * The tar reader: bytes are fed in, events are taken out, nothing is awaited and no data are copied.
 * What lives here: the walk over an archive and the meaning of its entries. Not here: single headers, PAX records
 * sparse maps and entries (tar-*.ts), and what an entry does to a directory (tree.ts).
 *
 * What counts follows Go's archive/tar, which containerd, Docker, Podman and umoci all read layers with. One thing
 * is done as POSIX says instead: a global header's times, owners and attributes hold for later entries (Go ignores
 * them). Its `path`, `linkpath` and `size` are ignored here too, so that no reader sees other names than another.
 */
import { invalidLayer, META_LIMIT, SPARSE_LIMIT } from "./limits.ts";
import { EMPTY_ENTRY, type Holes, makeEntry, type TarEntry } from "./tar-entry.ts";
import { BLOCK, isZeroBlock, latin1, parseHeader, type TarHeader } from "./tar-header.ts";
import { type PaxRecords, parsePax } from "./tar-pax.ts";
import { checkedMap, type LeadingMap, leadingMap, oldPieces, oldRealSize } from "./tar-sparse.ts";

/**
 * What comes next: `more`: feed another chunk; `entry`: {@link TarReader.entry} is a new one; `data`: a piece of its
 * contents; `close`: the entry is complete; `end`: the archive is, and what is still fed is not looked at.
 */
export type TarEvent = "more" | "entry" | "data" | "close" | "end";

/** A reader of one archive. */
export interface TarReader {
  feed(chunk: Uint8Array): void;
  next(): TarEvent;
  /** The entry that the last `entry` event was about. */
  readonly entry: TarEntry;
  /** With a `data` event: bytes, valid until the next call of `feed`. */
  readonly data: Uint8Array;
  /** With a `data` event: where in the file they belong. */
  readonly offset: number;
  /** To be called when the stream is over: throws when the archive is not. */
  finish(): void;
}

const NOTHING = new Uint8Array(0);

type State = "header" | "meta" | "old-sparse" | "new-sparse" | "data" | "end";

class Reader implements TarReader {
  entry: TarEntry = EMPTY_ENTRY;
  data: Uint8Array = NOTHING;
  offset = 0;

  #state: State = "header";
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  /** Start of a block, or of a meta entry's data, whose rest is in the next chunk. */
  #partial = Buffer.alloc(BLOCK);
  #have = 0;
  #skip = 0;
  #zero = false;

  #header: TarHeader | undefined;
  #meta = { flag: "", size: 0 };
  #global = new Map<string, string>();
  #pax: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;

  /** Bytes of the entry's data still to come, and the padding after them. */
  #left = 0;
  #padding = 0;
  /** Where in the file the next byte belongs. */
  #offset = 0;
  #pieces: number[] | undefined;
  #piece = 0;
  #pieceLeft = 0;
  /** A sparse map that is being read: of an old header's extensions, or the blocks before the data. */
  #oldPieces: number[] = [];
  #leading: LeadingMap = leadingMap();
  #realSize = 0;

  feed(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  next(): TarEvent {
    for (;;) {
      if (this.#skip > 0) {
        const n = Math.min(this.#skip, this.#chunk.byteLength - this.#at);
        this.#at += n;
        this.#skip -= n;
        if (this.#skip > 0) return "more";
      }
      switch (this.#state) {
        case "header": {
          const block = this.#take(BLOCK);
          if (block === undefined) return "more";
          if (this.#readHeader(block)) return "entry";
          break;
        }
        case "meta": {
          const data = this.#take(this.#meta.size);
          if (data === undefined) return "more";
          this.#readMeta(data);
          break;
        }
        case "old-sparse": {
          const block = this.#take(BLOCK);
          if (block === undefined) return "more";
          if (this.#readOldSparse(block, true)) return "entry";
          break;
        }
        case "new-sparse": {
          const block = this.#take(BLOCK);
          if (block === undefined) return "more";
          if (this.#readNewSparse(block)) return "entry";
          break;
        }
        case "data":
          return this.#readData();
        case "end":
          return "end";
      }
    }
  }

  finish(): void {
    const whole = this.#state === "end" || (this.#state === "header" && this.#have === 0 && !this.#pending());
    // Some writers (umoci) leave out the padding behind the last file, all of it, and the two blocks that end an archive.
    if (!whole || (this.#skip > 0 && this.#skip !== this.#padding))
      throw invalidLayer("the tar archive ends in the middle of an entry");
  }

  #pending(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /** `size` bytes in one piece: where they stand in the chunk, or put together from several. */
  #take(size: number): Uint8Array | undefined {
    const here = this.#chunk.byteLength - this.#at;
    if (this.#have === 0 && here >= size) {
      const block = this.#chunk.subarray(this.#at, this.#at + size);
      this.#at += size;
      return block;
    }
    if (this.#partial.byteLength < size) {
      const larger = Buffer.alloc(Math.min(size, Math.max(2 * this.#partial.byteLength, this.#have + here)));
      larger.set(this.#partial.subarray(0, this.#have));
      this.#partial = larger;
    }
    const n = Math.min(size - this.#have, here);
    this.#partial.set(this.#chunk.subarray(this.#at, this.#at + n), this.#have);
    this.#at += n;
    this.#have += n;
    if (this.#have < size) return undefined;
    this.#have = 0;
    return this.#partial.subarray(0, size);
  }

  /** True when an entry stands whole. */
  #readHeader(block: Uint8Array): boolean {
    if (isZeroBlock(block)) {
      if (this.#zero) this.#state = "end";
      this.#zero = true;
      if (this.#pending()) throw invalidLayer("the tar archive ends in the middle of an entry");
      return false;
    }
    if (this.#zero) throw invalidLayer("a single block of zeros in the tar archive");
    const header = parseHeader(block);
    if (header.size < 0) throw invalidLayer("a negative size", header.name);
    if ("xgLK".includes(header.flag)) {
      if (header.size > META_LIMIT) throw invalidLayer(`an extended header of ${header.size} bytes`);
      this.#meta = { flag: header.flag, size: header.size };
      this.#state = "meta";
      return false;
    }
    this.#header = header;
    if (header.flag === "S") {
      if (!header.gnu) throw invalidLayer("a sparse file in a header that is not GNU's", header.name);
      this.#oldPieces = [];
      this.#realSize = oldRealSize(block);
      return this.#readOldSparse(block, false);
    }
    return this.#begin(header);
  }

  #readMeta(data: Uint8Array): void {
    const { flag, size } = this.#meta;
    if (flag === "x") this.#pax = parsePax(data);
    else if (flag === "g") {
      for (const [key, value] of parsePax(data).values) {
        if (key === "path" || key === "linkpath" || key === "size" || key.startsWith("GNU.sparse.")) continue;
        this.#global.set(key, value);
      }
      // Each has its bound, but there may be any number of them.
      let all = 0;
      for (const [key, value] of this.#global) all += key.length + value.length;
      if (all > META_LIMIT) throw invalidLayer("the global PAX records are too large");
    } else {
      const end = data.indexOf(0);
      const name = latin1(data, 0, end < 0 ? data.byteLength : end);
      if (flag === "L") this.#longName = name;
      else this.#longLink = name;
    }
    this.#skip = padding(size);
    this.#state = "header";
    if (this.#partial.byteLength > 65536) this.#partial = Buffer.alloc(BLOCK);
  }

  #readOldSparse(block: Uint8Array, extension: boolean): boolean {
    const { pieces, more } = oldPieces(block, extension);
    for (const number of pieces) this.#oldPieces.push(number);
    if (this.#oldPieces.length > 2 * SPARSE_LIMIT) throw invalidLayer("a sparse map has too many pieces");
    this.#state = "old-sparse";
    if (more || this.#header === undefined) return false;
    return this.#begin(this.#header, { size: this.#realSize, pieces: this.#oldPieces });
  }

  /** Form 1.0: the map stands before the entry's data, and `#left` counts it too. */
  #readNewSparse(block: Uint8Array): boolean {
    this.#left -= BLOCK;
    if (this.#left < 0) throw invalidLayer("a sparse map is damaged", this.entry.name);
    const pieces = this.#leading.feed(block);
    if (pieces === undefined) return false;
    this.#useMap(pieces, this.#realSize);
    return true;
  }

  /** True when the entry can be given out: not yet, when its sparse map is still to come. */
  #begin(header: TarHeader, oldHoles?: Holes): boolean {
    const { entry, stored, holes } = makeEntry({
      header,
      global: this.#global,
      pax: this.#pax,
      longName: this.#longName,
      longLink: this.#longLink,
      holes: oldHoles,
    });
    this.entry = entry;
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#left = stored;
    this.#padding = padding(stored);
    this.#offset = 0;
    this.#pieces = undefined;
    this.#state = "data";
    if (holes === undefined) return true;
    if (holes.pieces === undefined) {
      this.#realSize = holes.size;
      this.#leading = leadingMap();
      this.#state = "new-sparse";
      return false;
    }
    this.#useMap(holes.pieces, holes.size);
    return true;
  }

  #useMap(pieces: number[], size: number): void {
    this.#pieces = checkedMap(pieces, size, this.#left, this.entry.name).pieces;
    this.#piece = 0;
    this.#pieceLeft = 0;
    this.#state = "data";
  }

  #readData(): TarEvent {
    if (this.#left === 0) {
      this.#state = "header";
      this.#skip = this.#padding;
      return "close";
    }
    let n = Math.min(this.#left, this.#chunk.byteLength - this.#at);
    if (n === 0) return "more";
    if (this.#pieces !== undefined) {
      while (this.#pieceLeft === 0) {
        this.#offset = this.#pieces[this.#piece] ?? 0;
        this.#pieceLeft = this.#pieces[this.#piece + 1] ?? 0;
        this.#piece += 2;
      }
      n = Math.min(n, this.#pieceLeft);
      this.#pieceLeft -= n;
    }
    this.offset = this.#offset;
    this.#offset += n;
    this.data = this.#chunk.subarray(this.#at, this.#at + n);
    this.#at += n;
    this.#left -= n;
    return "data";
  }
}

/** Bytes up to the next whole block. */
function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** A reader at the beginning of an archive. */
export function tarReader(): TarReader {
  return new Reader();
}
