/**
 * Blobs on their way into the store: a partial file that grows, is hashed as it grows, and takes its place whole or
 * not at all. What an interrupted pull leaves is found, hashed again and continued. Readers may follow it as it grows.
 * Not here: where the bytes come from (image/download.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import { callError, check } from "../../kernel/check.ts";
import { O_CREAT, O_NOFOLLOW, O_RDONLY, O_RDWR } from "../../kernel/constants.ts";
import { ERRNO } from "../../kernel/errno.ts";
import { close, open, rename, statusOf, tryOpen, tryUnlink } from "../../kernel/file.ts";
import { sys } from "../../kernel/raw.ts";
import { parseDigest } from "../../spec/image/digest.ts";
import { type BlobName, hasBlob, mismatch } from "./blobs.ts";
import { syncDirectory } from "./layout.ts";
import { isStill, pauseFor, tryLockFd } from "./lock.ts";
import type { StorePaths } from "./paths.ts";

/** Bytes read at once from a file. */
const PIECE = 256 * 1024;

/** A blob that is being written, by us alone. Call {@link Ingest.commit} or {@link Ingest.close} at the end. */
export interface Ingest {
  /** Bytes that are there. */
  readonly length: number;
  /** Bytes that an earlier pull had left. */
  readonly resumed: number;
  /** Path of the partial file, for those who follow it. */
  readonly path: string;
  /** @throws CtrError INVALID_IMAGE beyond the blob's size, NO_SPACE (the partial file is removed). */
  write(bytes: Uint8Array): void;
  /**
   * Checks size and digest, syncs, and moves the blob into its place.
   * @throws CtrError INVALID_IMAGE, or DAMAGED_PARTIAL where an earlier pull's bytes were among it; the partial file
   *   is removed in both cases.
   */
  commit(from: string): Promise<void>;
  /** Stops; what is there is kept for the next one. */
  close(): void;
}

/**
 * Begins or continues a blob. Waits while another process or task writes it.
 * @returns undefined if the blob is there: it was, or another has just brought it.
 */
export async function openIngest(
  paths: StorePaths,
  name: BlobName,
  signal?: AbortSignal,
  onWait?: () => void,
): Promise<Ingest | undefined> {
  const path = paths.partial(name.digest);
  for (let tries = 0; ; tries++) {
    if (hasBlob(paths, name)) return undefined;
    const fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    if (tryLockFd(fd) && isStill(path, fd)) {
      // Between our look and our lock, another may have brought the blob and a third begun this file anew.
      if (!hasBlob(paths, name)) return resume(paths, name, path, fd, signal);
      tryUnlink(path);
      close(fd);
      return undefined;
    }
    close(fd);
    if (tries === 0) onWait?.();
    await pauseFor(tries, signal);
  }
}

async function resume(
  paths: StorePaths,
  name: BlobName,
  path: string,
  fd: number,
  signal?: AbortSignal,
): Promise<Ingest> {
  const { algorithm } = parseDigest(name.digest);
  const hasher = new Bun.CryptoHasher(algorithm);
  let length = 0;
  let isOpen = true;
  const end = () => {
    if (isOpen) close(fd);
    isOpen = false;
  };
  const discard = () => {
    // Emptied too: who follows it keeps it open, and a full disk needs the space now.
    sys("ftruncate", fd, 0);
    tryUnlink(path);
    end();
  };
  const found = statusOf("", fd)?.size ?? 0;
  if (found > name.size) check(sys("ftruncate", fd, 0), { syscall: "ftruncate", path });
  else {
    try {
      for await (const piece of readPieces(fd, path, found)) {
        signal?.throwIfAborted();
        hasher.update(piece);
        length += piece.byteLength;
      }
    } catch (error) {
      end();
      throw error;
    }
  }
  const resumed = length;
  return {
    path,
    resumed,
    get length() {
      return length;
    },
    write(bytes) {
      if (length + bytes.byteLength > name.size) {
        discard();
        throw mismatch(name.digest, "the registry", `more than the ${name.size} bytes that are to come`);
      }
      for (let done = 0; done < bytes.byteLength; ) {
        const written = sys("write", fd, bytes.subarray(done), bytes.byteLength - done);
        if (written === -ERRNO.EINTR) continue;
        if (written < 0) {
          if (written === -ERRNO.ENOSPC || written === -ERRNO.EDQUOT) discard();
          throw writeError(-written, paths.root, path);
        }
        done += written;
      }
      hasher.update(bytes);
      length += bytes.byteLength;
    },
    async commit(from) {
      const digest = `${algorithm}:${hasher.digest("hex")}`;
      if (length !== name.size || digest !== name.digest) {
        discard();
        const what =
          length === name.size ? `the digest ${digest}` : `${length} bytes where ${name.size} are to be`;
        if (resumed === 0) throw mismatch(name.digest, from, what);
        const message = `what an earlier pull left of ${name.digest} was damaged, and was removed`;
        throw fail({ code: "DAMAGED_PARTIAL", message, hint: "pull again" });
      }
      try {
        await sync(fd, paths.root, path);
        const target = paths.blob(name.digest);
        rename(path, target);
        syncDirectory(target.slice(0, target.lastIndexOf("/")));
      } finally {
        end();
      }
    },
    close: end,
  };
}

/** Hashes a blob of the store again. One that is not what its name says is removed; whether it was right. */
export async function verifyBlob(paths: StorePaths, name: BlobName, signal?: AbortSignal): Promise<boolean> {
  const { algorithm } = parseDigest(name.digest);
  const path = paths.blob(name.digest);
  const fd = tryOpen(path, O_RDONLY | O_NOFOLLOW);
  if (fd === -ERRNO.ENOENT) return false;
  check(fd, { syscall: "openat", path });
  try {
    const hasher = new Bun.CryptoHasher(algorithm);
    for await (const piece of readPieces(fd, path, name.size + 1)) {
      signal?.throwIfAborted();
      hasher.update(piece);
    }
    const isRight = `${algorithm}:${hasher.digest("hex")}` === name.digest;
    if (!isRight) tryUnlink(path);
    return isRight;
  } finally {
    close(fd);
  }
}

/** In another thread: a large file takes a while, and other layers are on their way. */
async function sync(fd: number, root: string, path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | null>();
  // Loaded here: this file is on the way of `run IMAGE`, which seldom writes a blob.
  process.getBuiltinModule("node:fs").fdatasync(fd, resolve);
  const error = await promise;
  if (error !== null) throw writeError(Math.abs(error.errno ?? ERRNO.EIO), root, path);
}

/** The error of a write to the store: a full disk in plain words. `errno` is positive. */
export function writeError(errno: number, root: string, path: string): CtrError {
  if (errno !== ERRNO.ENOSPC && errno !== ERRNO.EDQUOT) return callError(errno, { syscall: "write", path });
  return fail({
    code: "NO_SPACE",
    message: `no space left for the store ${root}`,
    syscall: "write",
    path,
    errno: errno === ERRNO.ENOSPC ? "ENOSPC" : "EDQUOT",
    hint: "free some space, or put the store elsewhere with --store; nothing half is left",
  });
}

/** Reads a file from where its descriptor stands, letting others have a turn in between. */
async function* readPieces(fd: number, path: string, limit: number): AsyncGenerator<Uint8Array, void> {
  for (let done = 0; done < limit; ) {
    const piece = readPiece(fd, path, limit - done);
    if (piece === undefined) return;
    done += piece.byteLength;
    yield piece;
    await turn();
  }
}

function readPiece(fd: number, path: string, most: number): Uint8Array | undefined {
  const piece = new Uint8Array(Math.min(PIECE, most));
  const count = check(sys("read", fd, piece, piece.byteLength), { syscall: "read", path });
  return count === 0 ? undefined : piece.subarray(0, count);
}

/** Lets the event loop have a turn: without it, whoever reads from memory alone starves the network. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}

/** How far a file has grown, for those who follow it. */
export interface Growth {
  readonly path: string;
  readonly length: number;
  readonly isDone: boolean;
  /** Settles when length or isDone have changed; rejects when no more will come. */
  changed(): Promise<void>;
}

/** Content of a file that another task is still writing, to its end. */
export async function* follow(growth: Growth): AsyncGenerator<Uint8Array, void> {
  let fd = tryOpen(growth.path, O_RDONLY | O_NOFOLLOW);
  // It has just been moved into its place, and the writer is about to say so.
  while (fd === -ERRNO.ENOENT && !growth.isDone) {
    await growth.changed();
    fd = tryOpen(growth.path, O_RDONLY | O_NOFOLLOW);
  }
  check(fd, { syscall: "openat", path: growth.path });
  try {
    for (let done = 0; ; ) {
      if (done < growth.length) {
        const piece = readPiece(fd, growth.path, growth.length - done);
        // Truncated: it was thrown away, and why is for the writer to say.
        if (piece === undefined) await growth.changed();
        else {
          done += piece.byteLength;
          yield piece;
          await turn();
        }
      } else if (growth.isDone) return;
      else await growth.changed();
    }
  } finally {
    close(fd);
  }
}
