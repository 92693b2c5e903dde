/**
 * Leases: what a running process needs stays, though no image names it yet. A lease is a file that its owner holds a
 * lock on, so the lease of a dead process is known by its lock being free. Not here: collecting garbage (garbage.ts).
 */
import { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR } from "../../kernel/constants.ts";
import { ERRNO } from "../../kernel/errno.ts";
import {
  close,
  listDirectory,
  open,
  readTextIfAny,
  tryOpen,
  tryUnlink,
  withFd,
  writeAll,
} from "../../kernel/file.ts";
import { lock, tryLockFd } from "./lock.ts";
import type { StorePaths } from "./paths.ts";

/** Keeps blobs and snapshots from garbage collection while it is held; a dead process holds none. */
export interface Lease {
  /** Safe in a snapshot key: 32 hex digits. */
  readonly id: string;
  /** Adds digests of blobs and chain IDs. Before looking whether they are there. */
  hold(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  release(): void;
}

/** @param prepare makes the store's directories, once. */
export function createLease(paths: StorePaths, prepare: () => void): Lease {
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");
  const path = `${paths.leases}/${id}`;
  let fd: number | undefined;
  return {
    id,
    async hold(keys, signal) {
      prepare();
      // Not while garbage is collected: what the collector has found unused must not become used under its hands.
      const garbage = await lock(paths.garbageLock, "shared", signal);
      try {
        if (fd === undefined) {
          fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0o600);
          tryLockFd(fd);
        }
        writeAll(fd, new TextEncoder().encode(keys.map((key) => `${key}\n`).join("")), path);
      } finally {
        garbage.release();
      }
    },
    release() {
      if (fd === undefined) return;
      tryUnlink(path);
      close(fd);
      fd = undefined;
    },
  };
}

/** What all leases hold. Only under the garbage lock: a lease is not locked yet when its file is made. */
export function readLeases(paths: StorePaths): { readonly ids: Set<string>; readonly keys: Set<string> } {
  const ids = new Set<string>();
  const keys = new Set<string>();
  for (const name of leaseNames(paths)) {
    const path = `${paths.leases}/${name}`;
    if (removeIfDead(path)) continue;
    ids.add(name);
    for (const key of readTextIfAny(path)?.split("\n") ?? []) if (key !== "") keys.add(key);
  }
  return { ids, keys };
}

/** Names of all lease files, live or not. */
export function leaseNames(paths: StorePaths): string[] {
  const fd = tryOpen(paths.leases, O_RDONLY | O_DIRECTORY);
  if (fd === -ERRNO.ENOENT) return [];
  return withFd(fd, listDirectory).map(({ name }) => name);
}

function removeIfDead(path: string): boolean {
  const fd = tryOpen(path, O_RDONLY);
  if (fd < 0) return true;
  const isDead = tryLockFd(fd);
  if (isDead) tryUnlink(path);
  close(fd);
  return isDead;
}
