/**
 * What programs expect, and runc and crun give them without being asked: HOME, from the root file system's own passwd
 * file, where the config names none; and on a tmpfs without a mode that of the directory which it covers. Engines ask
 * for its content to be copied too (tmpcopyup), mostly where there is none: then nothing is to be done.
 */
import { O_DIRECTORY, O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY, S_IFREG } from "../kernel/constants.ts";
import { close, listDirectory, readAll, statusOf, tryOpen, tryOpenInRoot } from "../kernel/file.ts";
import type { MountFact, PlanFacts } from "../plan/input.ts";
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

/** Whether a mount is a file system of its own in memory, made new. */
function isNewTmpfs({ type, options = [] }: Mount): boolean {
  return type === "tmpfs" && !options.some((option) => /^(r?bind|remount)$/.test(option));
}

/** A tmpfs with the mode of the directory that it covers, and without the copy of one in which there is nothing. */
function completeTmpfs(mount: Mount, fact: MountFact, rootfs: string): Mount {
  const given = mount.options ?? [];
  const lacksMode = !given.some((option) => option.startsWith("mode="));
  const copies = given.includes("tmpcopyup");
  if (!lacksMode && !copies) return mount;
  const missing = fact.missing > 0;
  const covered = missing || fact.inside !== -1 ? undefined : lookAtDirectory(rootfs, fact.destination);
  const mode = lacksMode && covered !== undefined ? [`mode=${covered.mode.toString(8)}`] : [];
  const nothing = missing || covered?.empty === true;
  const options = nothing ? given.filter((option) => option !== "tmpcopyup") : given;
  return { ...mount, options: [...options, ...mode] };
}

/** A directory of the root file system; undefined where it cannot be looked at. */
function lookAtDirectory(rootfs: string, path: string): { mode: number; empty: boolean } | undefined {
  const root = tryOpen(rootfs, O_PATH | O_DIRECTORY);
  if (root < 0) return undefined;
  const fd = tryOpenInRoot(root, path, O_RDONLY | O_DIRECTORY);
  close(root);
  if (fd < 0) return undefined;
  try {
    const mode = (statusOf("", fd)?.mode ?? 0o1777) & 0o7777;
    return { mode, empty: listDirectory(fd).length === 0 };
  } finally {
    close(fd);
  }
}

/** The config with all of it. */
export function withCustoms(config: RuntimeConfig, facts: PlanFacts): RuntimeConfig {
  const { process, mounts } = config;
  const complete = (mount: Mount, index: number): Mount => {
    const fact = facts.mounts[index];
    return fact === undefined || !isNewTmpfs(mount) ? mount : completeTmpfs(mount, fact, facts.rootfs);
  };
  return {
    ...config,
    ...(process === undefined ? {} : { process: withHome(process, facts.rootfs) }),
    ...(mounts === undefined ? {} : { mounts: mounts.map(complete) }),
  };
}
