/** Descriptors that say when something happened: eventfd(2), inotify(7). Neither blocks when it is read. */
import { check } from "./check.ts";
import { IN_MODIFY, O_CLOEXEC, O_NONBLOCK } from "./constants.ts";
import { close, tryRead } from "./file.ts";
import { cString, viewOf } from "./memory.ts";
import { sys } from "./raw.ts";

/** A counter that the kernel adds to. */
export function makeEventfd(): number {
  return check(sys("eventfd2", 0, O_CLOEXEC | O_NONBLOCK), { syscall: "eventfd2" });
}

/** What was added since the last time. */
export function takeCount(eventfd: number): number {
  const value = new Uint8Array(8);
  return tryRead(eventfd, value) === 8 ? Number(viewOf(value).getBigUint64(0, true)) : 0;
}

/** A descriptor that can be read when one of these files was changed; their content is to be looked at then. */
export function watchFiles(paths: readonly string[]): number {
  const fd = check(sys("inotify_init1", O_CLOEXEC | O_NONBLOCK), { syscall: "inotify_init1" });
  try {
    for (const path of paths) {
      check(sys("inotify_add_watch", fd, cString(path), IN_MODIFY), { syscall: "inotify_add_watch", path });
    }
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Reads what has come, and drops it. */
export function dropEvents(fd: number): void {
  const buffer = new Uint8Array(4096);
  while (tryRead(fd, buffer) > 0);
}
