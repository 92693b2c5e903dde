/** Files in memory (memfd_create(2)): the init's program, and documents handed to hooks. */
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
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { writeAll } from "./file.ts";
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
  check(fd, {
    syscall: "memfd_create",
    message: "cannot make the init's program",
    hint: fd === -ERRNO.EACCES ? "vm.memfd_noexec forbids executable memfds: set it to 0 or 1" : undefined,
  });
  writeAll(fd, bytes, `memfd:${name}`);
  const seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  check(sys("fcntl", fd, F_ADD_SEALS, seals), { syscall: "fcntl" });
  return fd;
}

/** A memfd with a document in it, its offset at the start. */
export function documentMemfd(name: string, bytes: Uint8Array): number {
  const fd = check(sys("memfd_create", cString(name), MFD_CLOEXEC), { syscall: "memfd_create" });
  writeAll(fd, bytes, `memfd:${name}`);
  sys("lseek", fd, 0, 0);
  return fd;
}
