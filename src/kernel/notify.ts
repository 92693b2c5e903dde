/** Descriptors that say when something happened: eventfd(2), inotify(7), epoll(7). None blocks when it is read. */
import { callError, check } from "./check.ts";
import {
  EPOLL_CTL_ADD,
  EPOLL_EVENT_SIZE,
  EPOLLET,
  EPOLLPRI,
  IN_MODIFY,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { close, open, tryRead } from "./file.ts";
import { cString, textOf, viewOf } from "./memory.ts";
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

/** A file that the kernel changes by itself and says so (kernfs: cgroups, sysfs), held open. */
export interface HeldFile {
  /** Can be read (POLLIN) when the file has changed. */
  readonly fd: number;
  /** Whether it has changed since the last time, which is told also of one that is gone by now. */
  takeChange(): boolean;
  /** The first 4096 bytes as text; undefined once it is gone. */
  read(): string | undefined;
  close(): void;
}

/**
 * Holds a file, of whose changes before nothing is told. inotify(7) would say of one that is gone whether it had changed
 * as well, but an instance of it for every container is more than fs.inotify.max_user_instances allows.
 */
export function holdFile(path: string): HeldFile {
  const file = open(path, O_RDONLY);
  const fds = [file];
  const closeAll = (): void => fds.forEach(close);
  const buffer = new Uint8Array(4096);
  const read = (): string | undefined => {
    const length = sys("pread64", file, buffer, buffer.byteLength, 0);
    if (length >= 0) return textOf(buffer, length);
    if (length === -ERRNO.ENODEV) return undefined;
    throw callError(-length, { syscall: "pread64", path });
  };
  try {
    const fd = check(sys("epoll_create1", O_CLOEXEC), { syscall: "epoll_create1" });
    fds.push(fd);
    // Until it is read for the first time, each has changed.
    read();
    const event = new Uint8Array(EPOLL_EVENT_SIZE);
    // By edges: what is gone is always ready, but changed only where somebody was woken.
    viewOf(event).setUint32(0, (EPOLLPRI | EPOLLET) >>> 0, true);
    check(sys("epoll_ctl", fd, EPOLL_CTL_ADD, file, event), { syscall: "epoll_ctl", path });
    return {
      fd,
      takeChange: () => check(sys("epoll_pwait", fd, event, 1, 0, null, 8), { syscall: "epoll_pwait" }) > 0,
      read,
      close: closeAll,
    };
  } catch (error) {
    closeAll();
    throw error;
  }
}
