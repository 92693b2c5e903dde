/**
 * The mounts of config.json: what every container has, and what was asked for on top.
 * Not here: reading flags (mount-flags.ts), or making sources (engine/sources.ts).
 */
import { fail } from "../../error.ts";
import type { Mount } from "../../spec/runtime/config.ts";
import type { MountRequest } from "./mount-flags.ts";

/** A request whose source is there: a volume has got a directory. */
export type ReadyMount = MountRequest;

/** Files that ctr-bun provides, by their place inside. */
export type ProvidedFiles = Readonly<Record<"/etc/hosts" | "/etc/hostname" | "/etc/resolv.conf", string>>;

/** What decides about a container's mounts. */
export interface MountSources {
  readonly requests: readonly ReadyMount[];
  readonly files: ProvidedFiles;
  readonly privileged: boolean;
  readonly readonlyRoot: boolean;
}

/**
 * All mounts, those nearer to the root first. Two requests for one place are an error; a request takes the place of a
 * default mount or of a provided file.
 */
export function buildMounts(sources: MountSources): Mount[] {
  const taken = new Set<string>();
  for (const { target, field } of sources.requests) {
    if (taken.has(target)) {
      throw fail({
        code: "INVALID_FLAG",
        field,
        message: `two mounts for ${target}`,
        hint: "keep one of them",
      });
    }
    taken.add(target);
  }
  const defaults = defaultMounts(sources.privileged).filter((mount) => !taken.has(mount.destination));
  const files = Object.entries(sources.files)
    .filter(([target]) => !taken.has(target))
    .map(([target, source]) => bindMount(source, target, "rprivate", sources.readonlyRoot));
  const asked = sources.requests.map(requestMount);
  const sorted = [...files, ...asked].sort((a, b) => depth(a.destination) - depth(b.destination));
  return [...defaults, ...sorted];
}

function requestMount(request: ReadyMount): Mount {
  if (request.type !== "tmpfs") {
    return bindMount(request.source ?? "", request.target, request.propagation, request.readonly);
  }
  const options = ["noexec", "nosuid", "nodev", ...request.options, ...(request.readonly ? ["ro"] : [])];
  return { destination: request.target, type: "tmpfs", source: "tmpfs", options: lastWins(options) };
}

/** `exec` takes `noexec` away, and so on: the last word on a thing counts. */
function lastWins(options: readonly string[]): string[] {
  const subject = (option: string): string => option.replace(/^no(?=exec|suid|dev)/, "").replace(/=.*/, "");
  return options.filter(
    (option, at) => !options.slice(at + 1).some((later) => subject(later) === subject(option)),
  );
}

function bindMount(source: string, destination: string, propagation: string, readonly: boolean): Mount {
  return {
    destination,
    type: "bind",
    source,
    options: ["rbind", propagation, ...(readonly ? ["ro"] : ["rw"])],
  };
}

function depth(path: string): number {
  return path.split("/").length;
}

/** Docker's. */
function defaultMounts(privileged: boolean): Mount[] {
  const system = privileged ? [] : ["ro"];
  return [
    mount("proc", "/proc", "proc", "nosuid", "noexec", "nodev"),
    mount("tmpfs", "/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    mount(
      "devpts",
      "/dev/pts",
      "devpts",
      "nosuid",
      "noexec",
      "newinstance",
      "ptmxmode=0666",
      "mode=0620",
      "gid=5",
    ),
    mount("sysfs", "/sys", "sysfs", "nosuid", "noexec", "nodev", ...system),
    mount("cgroup", "/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", ...system),
    mount("mqueue", "/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    mount("tmpfs", "/dev/shm", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
  ];
}

function mount(type: string, destination: string, source: string, ...options: string[]): Mount {
  return { destination, type, source, options };
}
