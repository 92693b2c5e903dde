/**
 * A tar writer for tests: every form that the reader knows, and every broken one, byte for byte as asked.
 * Names may be text or byte strings; nothing is checked, and that is the point.
 */

/** One member. What is left out has a harmless default. */
export interface Member {
  readonly name: string;
  /** Type flag: "0" file, "1" hard link, "2" symbolic link, "3" char, "4" block, "5" directory, "6" fifo. */
  readonly type?: string;
  readonly data?: Uint8Array | string;
  /** Size in the header, where it is to differ from the data's. */
  readonly size?: number | bigint;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number | bigint;
  readonly gid?: number | bigint;
  readonly mtime?: number | bigint;
  readonly major?: number;
  readonly minor?: number;
  /** PAX records that go before it, in this order; values as bytes or text. */
  readonly pax?: readonly (readonly [key: string, value: string | Uint8Array])[];
  readonly format?: "ustar" | "gnu" | "v7";
  /** Put the whole name into a GNU long name member before it. */
  readonly longName?: boolean;
  readonly longLink?: boolean;
  /** Last change of the header, before the checksum is put in. */
  readonly patch?: (header: Uint8Array) => void;
  /** Change of the finished header. */
  readonly damage?: (header: Uint8Array) => void;
}

const BLOCK = 512;

/** A whole archive: members and two blocks of zeros. */
export function tar(members: readonly Member[]): Uint8Array {
  return Buffer.concat([...members.map(member), new Uint8Array(2 * BLOCK)]);
}

/** One member with all that belongs to it. */
export function member(it: Member): Uint8Array {
  const parts: Uint8Array[] = [];
  if (it.longName === true)
    parts.push(member({ name: "././@LongLink", type: "L", format: "gnu", data: `${it.name}\0` }));
  if (it.longLink === true) {
    parts.push(member({ name: "././@LongLink", type: "K", format: "gnu", data: `${it.link ?? ""}\0` }));
  }
  if (it.pax !== undefined) parts.push(member({ name: "PaxHeaders/x", type: "x", data: paxData(it.pax) }));
  const data = bytesOf(it.data ?? "");
  parts.push(
    header(it, it.size ?? data.byteLength),
    data,
    new Uint8Array((BLOCK - (data.byteLength % BLOCK)) % BLOCK),
  );
  return Buffer.concat(parts);
}

/** Records as in a PAX header, each with its own length in front. */
export function paxData(
  records: readonly (readonly [key: string, value: string | Uint8Array])[],
): Uint8Array {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), bytesOf(value), Buffer.from("\n")]);
      let length = rest.byteLength;
      while (String(length).length + rest.byteLength !== length)
        length = String(length).length + rest.byteLength;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

function bytesOf(data: Uint8Array | string): Uint8Array {
  return typeof data === "string" ? Buffer.from(data) : data;
}

/** One header block with its checksum. */
export function header(it: Member, size: number | bigint): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const name = bytesOf(it.name);
  const format = it.format ?? "ustar";
  if (format === "ustar" && name.byteLength > 100 && it.longName !== true) {
    let slash = name.lastIndexOf(0x2f, 155);
    if (slash < 0) slash = 0;
    block.set(name.subarray(0, slash), 345);
    block.set(name.subarray(slash + 1, slash + 101), 0);
  } else block.set(name.subarray(0, 100), 0);
  put(block, 100, 8, it.mode ?? (it.type === "5" ? 0o755 : 0o644));
  put(block, 108, 8, it.uid ?? 0);
  put(block, 116, 8, it.gid ?? 0);
  put(block, 124, 12, size);
  put(block, 136, 12, it.mtime ?? 1_600_000_000);
  block.write(it.type ?? "0", 156, "latin1");
  block.set(bytesOf(it.link ?? "").subarray(0, 100), 157);
  if (format !== "v7") {
    block.write(format === "gnu" ? "ustar  \0" : "ustar\x0000", 257, "latin1");
    put(block, 329, 8, it.major ?? 0);
    put(block, 337, 8, it.minor ?? 0);
  }
  it.patch?.(block);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  it.damage?.(block);
  return block;
}

/** Octal if it fits, else base-256. */
export function put(block: Uint8Array, at: number, length: number, value: number | bigint): void {
  const big = BigInt(value);
  const octal = big >= 0n ? big.toString(8) : "";
  if (big >= 0n && octal.length < length) {
    Buffer.from(block.buffer, block.byteOffset).write(`${octal.padStart(length - 1, "0")}\0`, at, "latin1");
    return;
  }
  let rest = BigInt.asUintN(length * 8 - 1, big);
  for (let i = length - 1; i >= 0; i--) {
    block[at + i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[at] = ((block[at] ?? 0) | 0x80) & (big < 0n ? 0xff : 0xbf);
}

/** Bytes in pieces of one size, as a stream that ends. */
export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}
