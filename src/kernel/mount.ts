/**
 * Mounts that ctr-bun itself makes on the host: the engine's root file systems, and paths of mounts as procfs tells them.
 * The container's are init rows.
 */
import { check } from "./check.ts";
import {
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  UMOUNT_NOFOLLOW,
} from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { cString } from "./memory.ts";
import { sys } from "./raw.ts";

const FLAGS: Readonly<Record<string, number>> = {
  ro: MS_RDONLY,
  nosuid: MS_NOSUID,
  nodev: MS_NODEV,
  noexec: MS_NOEXEC,
  bind: MS_BIND,
  rbind: MS_BIND | MS_REC,
};

/** mount(2): known flags among the options become flags, the others the data string. Made private afterwards. */
export function mount(source: string, target: string, type: string, options: readonly string[]): void {
  let flags = 0;
  const data: string[] = [];
  for (const option of options) {
    const flag = FLAGS[option];
    if (flag !== undefined) flags |= flag;
    else if (option !== "rw") data.push(option);
  }
  const text = data.join(",");
  const result = sys(
    "mount",
    cString(source),
    cString(target),
    cString(type),
    flags,
    text === "" ? null : cString(text),
  );
  check(result, { syscall: "mount", path: target, message: `cannot mount ${type === "" ? source : type}` });
  if ((flags & MS_BIND) !== 0 && (flags & MS_RDONLY) !== 0) {
    check(sys("mount", null, cString(target), null, flags | MS_REMOUNT), { syscall: "mount", path: target });
  }
  check(sys("mount", null, cString(target), null, MS_PRIVATE), { syscall: "mount", path: target });
}

/** Detaches what is mounted at a path; nothing mounted there, or nothing there, is fine. */
export function unmount(target: string): void {
  const result = sys("umount2", cString(target), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (result === -ERRNO.EINVAL || result === -ERRNO.ENOENT) return;
  check(result, { syscall: "umount2", path: target });
}

/** A path as mountinfo writes it, with blanks and their like in octal (proc_pid_mountinfo(5)), as it is. */
export function mountPath(written: string): string {
  if (!written.includes("\\")) return written;
  return written.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
