/**
 * Owner, mode and times: by descriptor, or by a name in a directory without following it. Names are byte strings
 * (directory.ts). Calls return 0 or -errno. Extended attributes are in xattr.ts.
 */
import { AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_NOFOLLOW, O_PATH } from "./constants.ts";
import { PATH_MAX } from "./directory.ts";
import { ERRNO } from "./errno.ts";
import { viewOf } from "./memory.ts";
import { sys } from "./raw.ts";

const nameBuffer = Buffer.alloc(PATH_MAX + 1);
const times = new Uint8Array(32);
const timesView = viewOf(times);

function nameOf(name: string): Buffer {
  nameBuffer.write(name, 0, "latin1");
  nameBuffer[name.length] = 0;
  return nameBuffer;
}

export function tryChown(fd: number, uid: number, gid: number): number {
  return sys("fchown", fd, uid, gid);
}

export function tryChmod(fd: number, mode: number): number {
  return sys("fchmod", fd, mode);
}

/** Access and modification time to the same moment: seconds since 1970 (negative before) and nanoseconds. */
function timespecs(seconds: number, nanoseconds: number): Uint8Array {
  for (const at of [0, 16]) {
    timesView.setUint32(at, seconds, true);
    timesView.setInt32(at + 4, Math.floor(seconds / 0x1_0000_0000), true);
    timesView.setUint32(at + 8, nanoseconds, true);
  }
  return times;
}

export function trySetTimes(fd: number, seconds: number, nanoseconds: number): number {
  return sys("utimensat", fd, null, timespecs(seconds, nanoseconds), 0);
}

export function tryChownAt(dirfd: number, name: string, uid: number, gid: number): number {
  return sys("fchownat", dirfd, nameOf(name), uid, gid, AT_SYMLINK_NOFOLLOW);
}

/**
 * Mode of something that cannot be opened (a device, a fifo). fchmodat2(2) came with Linux 6.6; before it, the
 * way is through /proc of an O_PATH descriptor, which names the very inode and follows nothing.
 */
export function tryChmodAt(dirfd: number, name: string, mode: number): number {
  const direct = sys("fchmodat2", dirfd, nameOf(name), mode, AT_SYMLINK_NOFOLLOW);
  if (direct !== -ERRNO.ENOSYS) return direct;
  const fd = sys("openat", dirfd, nameOf(name), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const result = sys("fchmodat", 0, nameOf(`/proc/self/fd/${fd}`), mode);
  sys("close", fd);
  return result;
}

export function trySetTimesAt(dirfd: number, name: string, seconds: number, nanoseconds: number): number {
  return sys("utimensat", dirfd, nameOf(name), timespecs(seconds, nanoseconds), AT_SYMLINK_NOFOLLOW);
}
