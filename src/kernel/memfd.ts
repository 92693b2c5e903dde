/**
 * Files without a name: the init's program, and documents handed to hooks. In memory (memfd_create(2)); a program on disk,
 * where that is forbidden.
 */
import { fail } from "../error.ts";
import { check } from "./check.ts";
import {
  F_ADD_SEALS,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  O_EXCL,
  O_RDONLY,
  O_TMPFILE,
  O_WRONLY,
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { close, open, tryOpen, writeAll } from "./file.ts";
import { tryFileSystemOf } from "./file-system.ts";
import { cString } from "./memory.ts";
import { sys } from "./raw.ts";

/**
 * A sealed memfd that can be executed: nobody can write, grow or shrink it, or take the seals off. `name` shows as
 * `/memfd:NAME` in /proc.
 */
export function executableMemfd(name: string, bytes: Uint8Array): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let fd = sys("memfd_create", cString(name), flags | MFD_EXEC);
  // Kernels before 6.3 do not know MFD_EXEC, and make every memfd executable.
  if (fd === -ERRNO.EINVAL) fd = sys("memfd_create", cString(name), flags);
  if (fd === -ERRNO.EACCES) return executableFile(bytes);
  check(fd, { syscall: "memfd_create", message: "cannot make the init's program" });
  writeAll(fd, bytes, `memfd:${name}`);
  const seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  check(sys("fcntl", fd, F_ADD_SEALS, seals), { syscall: "fcntl" });
  return fd;
}

/** Where a file may be made for a moment. */
const FOLDERS = ["/run", "/dev/shm", "/tmp", "/var/tmp"] as const;
/** The flag of mounts without execution (statfs(2)). */
const ST_NOEXEC = 8;

/**
 * The same without a memfd, for a host whose vm.memfd_noexec is 2: a file that never has a name, and that nobody has
 * open for writing. It is one container's own: whoever got at it would change nothing of another's, or of ctr-bun.
 */
function executableFile(bytes: Uint8Array): number {
  for (const folder of FOLDERS) {
    const found = tryFileSystemOf(folder);
    if (typeof found === "number" || (found.flags & ST_NOEXEC) !== 0) continue;
    const writable = tryOpen(folder, O_TMPFILE | O_EXCL | O_WRONLY, 0o500);
    if (writable < 0) continue;
    try {
      writeAll(writable, bytes, folder);
      return open(`/proc/self/fd/${writable}`, O_RDONLY);
    } finally {
      close(writable);
    }
  }
  throw fail({
    code: "SYSCALL",
    message: "cannot make the init's program: neither in memory nor in a file",
    syscall: "memfd_create",
    errno: "EACCES",
    hint: `vm.memfd_noexec forbids executable memfds: set it to 0 or 1, or let files be executed in one of ${FOLDERS.join(", ")}`,
  });
}

/** A memfd with a document in it, its offset at the start. */
export function documentMemfd(name: string, bytes: Uint8Array): number {
  const fd = check(sys("memfd_create", cString(name), MFD_CLOEXEC), { syscall: "memfd_create" });
  writeAll(fd, bytes, `memfd:${name}`);
  sys("lseek", fd, 0, 0);
  return fd;
}
