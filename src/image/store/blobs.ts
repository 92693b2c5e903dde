/**
 * Whole blobs: looking them up, reading small ones with their digest checked again, adding small ones.
 * Not here: blobs on their way in (ingest.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import { check } from "../../kernel/check.ts";
import { O_RDONLY } from "../../kernel/constants.ts";
import { ERRNO } from "../../kernel/errno.ts";
import { close, readAll, rename, replaceFile, statusOf, tryOpen, tryUnlink } from "../../kernel/file.ts";
import type { Descriptor } from "../../spec/image/descriptor.ts";
import { parseDigest } from "../../spec/image/digest.ts";
import { syncDirectory } from "./layout.ts";
import type { StorePaths } from "./paths.ts";

/** What a blob is asked for by. */
export type BlobName = Pick<Descriptor, "digest" | "size">;

/** `sha256:...` of bytes, or of another algorithm that we verify. */
export function digestOf(bytes: Uint8Array, algorithm: "sha256" | "sha512" = "sha256"): string {
  return `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`;
}

/** @throws CtrError INVALID_IMAGE where bytes are not what their name says. */
export function checkBytes(bytes: Uint8Array, { digest, size }: BlobName, from: string): void {
  if (bytes.byteLength !== size) {
    throw mismatch(digest, from, `${bytes.byteLength} bytes where ${size} are to be`);
  }
  const found = digestOf(bytes, parseDigest(digest).algorithm);
  if (found !== digest) throw mismatch(digest, from, `the digest ${found}`);
}

/** The error of content that is not what was asked for. */
export function mismatch(digest: string, from: string, found: string): CtrError {
  return fail({
    code: "INVALID_IMAGE",
    message: `${from} gave ${digest} with ${found}`,
    hint: "the content is damaged or was tampered with, and is not kept",
  });
}

export function hasBlob(paths: StorePaths, { digest, size }: BlobName): boolean {
  return statusOf(paths.blob(digest))?.size === size;
}

/** @throws CtrError NOT_FOUND for a blob that is not there, DAMAGED for one that has changed; that one is removed. */
export function readBlob(paths: StorePaths, name: BlobName): Uint8Array {
  const path = paths.blob(name.digest);
  const fd = tryOpen(path, O_RDONLY);
  if (fd === -ERRNO.ENOENT) {
    throw fail({
      code: "NOT_FOUND",
      message: `blob ${name.digest} is not in the store`,
      path,
      hint: "pull the image again",
    });
  }
  check(fd, { syscall: "openat", path });
  try {
    const isRight = statusOf("", fd)?.size === name.size;
    const bytes = isRight ? readAll(fd, path, name.size) : new Uint8Array();
    if (isRight && digestOf(bytes, parseDigest(name.digest).algorithm) === name.digest) return bytes;
  } finally {
    close(fd);
  }
  // Taken out of the way, so that pulling again mends it.
  tryUnlink(path);
  throw fail({
    code: "DAMAGED",
    message: `blob ${name.digest} in the store is damaged, and was removed`,
    path,
    hint: "pull the image again",
  });
}

/** Adds a small blob whose digest is already known to be right. */
export function addBlob(paths: StorePaths, bytes: Uint8Array, digest: string): void {
  const path = paths.blob(digest);
  if (hasBlob(paths, { digest, size: bytes.byteLength })) return;
  const temporary = `${paths.ingest}/${crypto.randomUUID()}`;
  try {
    replaceFile(temporary, bytes, 0o600);
    rename(temporary, path);
  } catch (error) {
    tryUnlink(temporary);
    throw error;
  }
  syncDirectory(path.slice(0, path.lastIndexOf("/")));
}
