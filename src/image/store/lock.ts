/**
 * Locks between processes, and between tasks of one process: flock(2), one open file description a lock, so the
 * kernel lets go of it when its holder dies. Not here: what each lock protects.
 */
import { callError, check } from "../../kernel/check.ts";
import { LOCK_EX, LOCK_NB, LOCK_SH, O_CREAT, O_NOFOLLOW, O_RDWR } from "../../kernel/constants.ts";
import { ERRNO } from "../../kernel/errno.ts";
import { close, open, statusOf, tryUnlink } from "../../kernel/file.ts";
import { sys } from "../../kernel/raw.ts";

/** A lock that is held. */
export interface FileLock {
  readonly fd: number;
  /** Lets go; `unlink` removes the lock file too, which only the holder of an exclusive lock may ask for. */
  release(unlink?: boolean): void;
}

export type LockMode = "shared" | "exclusive";

/** Milliseconds between tries: short at first, since most locks are held for a moment. */
const PAUSES = [1, 2, 5, 10, 20, 50, 100];

/** Locks a descriptor if nobody else has it. */
export function tryLockFd(fd: number, mode: LockMode = "exclusive"): boolean {
  const operation = (mode === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB;
  let result = sys("flock", fd, operation);
  while (result === -ERRNO.EINTR) result = sys("flock", fd, operation);
  if (result === -ERRNO.EAGAIN) return false;
  check(result, { syscall: "flock" });
  return true;
}

/** Locks a file, made if it is missing, if nobody else has it. */
export function tryLock(path: string, mode: LockMode = "exclusive"): FileLock | undefined {
  for (;;) {
    const fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    if (!tryLockFd(fd, mode)) {
      close(fd);
      return undefined;
    }
    // Whoever had it may have removed or renamed the file: then the lock is on something that nobody else will find.
    if (isStill(path, fd)) {
      return {
        fd,
        release(unlink = false) {
          if (unlink) tryUnlink(path);
          close(fd);
        },
      };
    }
    close(fd);
  }
}

/** Whether a path leads to the open file. */
export function isStill(path: string, fd: number): boolean {
  const named = statusOf(path);
  const opened = statusOf("", fd);
  return named !== undefined && opened !== undefined && named.ino === opened.ino;
}

/** Waits for a lock without stopping the event loop. `onWait` is called once, if it has to wait. */
export async function lock(
  path: string,
  mode: LockMode = "exclusive",
  signal?: AbortSignal,
  onWait?: () => void,
): Promise<FileLock> {
  for (let tries = 0; ; tries++) {
    const held = tryLock(path, mode);
    if (held !== undefined) return held;
    if (tries === 0) onWait?.();
    await pauseFor(tries, signal);
  }
}

/** The pause before another look at a lock. */
export async function pauseFor(tries: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await Bun.sleep(PAUSES[Math.min(tries, PAUSES.length - 1)] ?? 100);
  signal?.throwIfAborted();
}

/** Runs `use` under a lock that is never held across an await, and so is free in a moment. */
export function withLock<T>(path: string, use: () => T): T {
  const fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    let result = sys("flock", fd, LOCK_EX);
    while (result === -ERRNO.EINTR) result = sys("flock", fd, LOCK_EX);
    if (result < 0) throw callError(-result, { syscall: "flock", path });
    return use();
  } finally {
    close(fd);
  }
}
