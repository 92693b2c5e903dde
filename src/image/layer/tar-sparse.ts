/**
 * Sparse files in tar: GNU's old form (type S, map in the header) and its PAX forms 0.0, 0.1 and 1.0
 * (tar manual, "Storing Sparse Files"). Here is only the map: which piece of the data belongs where.
 */
import { invalidLayer, SPARSE_LIMIT } from "./limits.ts";
import { numberField } from "./tar-header.ts";
import type { PaxRecords } from "./tar-pax.ts";
import { paxNumber, paxPath } from "./tar-pax.ts";

/** Pieces of a file that have data; the rest is holes. */
export interface SparseMap {
  /** Offsets and lengths, alternating. */
  readonly pieces: number[];
  /** Size of the whole file. */
  readonly size: number;
}

/** What PAX records say of a sparse file. */
export interface PaxSparse {
  /** The file's real name; the header's is one that old tars extract the raw data to. */
  readonly name: string | undefined;
  readonly size: number;
  /** Undefined: form 1.0, where the map stands before the data. */
  readonly pieces: number[] | undefined;
}

/** The sparse part of PAX records; undefined where the file is no sparse one. */
export function paxSparse({ values, sparse }: PaxRecords): PaxSparse | undefined {
  const major = values.get("GNU.sparse.major");
  const minor = values.get("GNU.sparse.minor");
  const map = values.get("GNU.sparse.map");
  const version = major === undefined && minor === undefined ? undefined : `${major}.${minor}`;
  if (version === undefined && map === undefined && sparse.length === 0) return undefined;
  if (version !== undefined && version !== "0.0" && version !== "0.1" && version !== "1.0") {
    throw invalidLayer("a sparse file of an unknown form");
  }
  const size = values.get("GNU.sparse.realsize") ?? values.get("GNU.sparse.size");
  if (size === undefined) throw invalidLayer("a sparse file without its size");
  const name = values.get("GNU.sparse.name");
  return {
    name: name === undefined ? undefined : paxPath(name, "GNU.sparse.name"),
    size: paxNumber(size, "GNU.sparse.size"),
    pieces: version === "1.0" ? undefined : map === undefined ? sparse : mapOf(map),
  };
}

function mapOf(text: string): number[] {
  if (text === "") return [];
  return text.split(",").map((number) => paxNumber(number, "GNU.sparse.map"));
}

/** Reads the map in front of form 1.0's data: decimal lines, the first their number, then NULs to a whole block. */
export interface LeadingMap {
  /** Takes the next block; the pieces once the map is complete. */
  feed(block: Uint8Array): number[] | undefined;
}

/** A reader of one such map. */
export function leadingMap(): LeadingMap {
  const numbers: number[] = [];
  let wanted = 1;
  let value = 0;
  let digits = 0;
  return {
    feed(block) {
      for (const byte of block) {
        if (byte === 0x0a && digits > 0) {
          if (numbers.length === 0) wanted = 1 + 2 * value;
          if (wanted > 2 * SPARSE_LIMIT) throw invalidLayer("a sparse map has too many pieces");
          numbers.push(value);
          value = 0;
          digits = 0;
          if (numbers.length === wanted) return numbers.slice(1);
        } else if (byte >= 0x30 && byte <= 0x39 && digits < 15) {
          value = value * 10 + byte - 0x30;
          digits++;
        } else throw invalidLayer("a sparse map is damaged");
      }
      return undefined;
    },
  };
}

/** Pieces in an old GNU header (four, at 386) or in one of its extension blocks (21, at 0). */
export function oldPieces(block: Uint8Array, extension: boolean): { pieces: number[]; more: boolean } {
  const pieces: number[] = [];
  const from = extension ? 0 : 386;
  const count = extension ? 21 : 4;
  for (let index = 0; index < count; index++) {
    const at = from + index * 24;
    if (block[at] === 0) break;
    pieces.push(numberField(block, at, 12, "sparse map"), numberField(block, at + 12, 12, "sparse map"));
  }
  return { pieces, more: block[extension ? 504 : 482] !== 0 };
}

/** Size of the whole file in an old GNU sparse header. */
export function oldRealSize(block: Uint8Array): number {
  return numberField(block, 483, 12, "size");
}

/** Checks a map against the file's size and against how much data there is: in order, apart, inside, all used. */
export function checkedMap(pieces: number[], size: number, stored: number, name: string): SparseMap {
  if (pieces.length % 2 !== 0) throw invalidLayer("a sparse map is damaged", name);
  if (pieces.length > 2 * SPARSE_LIMIT) throw invalidLayer("a sparse map has too many pieces", name);
  let end = 0;
  let sum = 0;
  for (let index = 0; index < pieces.length; index += 2) {
    const offset = pieces[index] ?? 0;
    const length = pieces[index + 1] ?? 0;
    if (offset < end || length < 0) throw invalidLayer("a sparse map's pieces overlap", name);
    end = offset + length;
    sum += length;
  }
  if (size < 0 || end > size) throw invalidLayer("a sparse map goes beyond the file's end", name);
  if (sum !== stored) throw invalidLayer("a sparse map and its data differ in length", name);
  return { pieces, size };
}
