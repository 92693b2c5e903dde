/**
 * What programs expect, and runc and crun give them without being asked: HOME, from the root file system's own passwd
 * file, where the config names none; and on a tmpfs without a mode that of the directory which it covers.
 */
import { O_DIRECTORY, O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY, S_IFREG } from "../kernel/constants.ts";
import { close, readAll, statusOf, tryOpen, tryOpenInRoot } from "../kernel/file.ts";
import type { PlanFacts } from "../plan/input.ts";
import type { Mount, Process, RuntimeConfig } from "../spec/runtime/config.ts";

/** What a passwd file of any sense stays far below. */
const MAX_BYTES = 1024 * 1024;

/** Adds HOME where it is missing or empty. `rootfs` is the host's path to the container's root. */
export function withHome(process: Process, rootfs: string): Process {
  const env = process.env ?? [];
  if (env.some((entry) => entry.startsWith("HOME=") && entry !== "HOME=")) return process;
  const home = homeOf(process.user.uid, readPasswd(rootfs));
  return { ...process, env: [...env.filter((entry) => entry !== "HOME="), `HOME=${home}`] };
}

/** passwd(5), field 6. */
export function homeOf(uid: number, passwd: string): string {
  for (const line of passwd.split("\n")) {
    const fields = line.split(":");
    if (fields.length >= 6 && fields[2] === `${uid}`) return fields[5] || "/";
  }
  return "/";
}

/** The file's text; nothing where there is no such file, or where it is anything but a small regular one (R1, R5). */
function readPasswd(rootfs: string): string {
  const root = tryOpen(rootfs, O_PATH | O_DIRECTORY);
  if (root < 0) return "";
  const place = tryOpenInRoot(root, "/etc/passwd", O_PATH);
  // Looked at before it is opened: opening a device may already do something.
  const regular = place >= 0 && isSmallFile(place);
  const fd = regular ? tryOpenInRoot(root, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY) : -1;
  for (const each of [root, place]) if (each >= 0) close(each);
  if (fd < 0) return "";
  try {
    return isSmallFile(fd) ? new TextDecoder().decode(readAll(fd, "/etc/passwd", MAX_BYTES)) : "";
  } catch {
    return "";
  } finally {
    close(fd);
  }
}

function isSmallFile(fd: number): boolean {
  const status = statusOf("", fd);
  return status?.type === S_IFREG && status.size <= MAX_BYTES;
}

/** The mounts, with the mode of what it covers for every tmpfs that has none. */
function withModes(mounts: readonly Mount[], { rootfs, mounts: facts }: PlanFacts): Mount[] {
  return mounts.map((mount, index) => {
    const fact = facts[index];
    const options = mount.options ?? [];
    const lacks =
      mount.type === "tmpfs" &&
      !options.some((option) => /^(mode=|r?bind$|remount$)/.test(option)) &&
      fact?.inside === -1 &&
      fact.missing === 0;
    if (!lacks) return mount;
    const root = tryOpen(rootfs, O_PATH | O_DIRECTORY);
    const fd = root < 0 ? root : tryOpenInRoot(root, fact.destination, O_PATH | O_DIRECTORY);
    if (root >= 0) close(root);
    if (fd < 0) return mount;
    const mode = statusOf("", fd)?.mode ?? 0o1777;
    close(fd);
    return { ...mount, options: [...options, `mode=${(mode & 0o7777).toString(8)}`] };
  });
}

/** The config with both. */
export function withCustoms(config: RuntimeConfig, facts: PlanFacts): RuntimeConfig {
  const { process, mounts } = config;
  return {
    ...config,
    ...(process === undefined ? {} : { process: withHome(process, facts.rootfs) }),
    ...(mounts === undefined ? {} : { mounts: withModes(mounts, facts) }),
  };
}
