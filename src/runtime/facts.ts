/**
 * Looks up what a plan is made from besides the config: where mounts lead inside the root file system (R1: link by
 * link, by descriptors, knowing the mounts before), what bind sources are, the caller's limits. Changes nothing.
 */
import { fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import {
  NS_GET_USERNS,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  PROC_SUPER_MAGIC,
} from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import { close, readTextIfAny, statusOf, tryOpen, withFd } from "../kernel/file.ts";
import { liesIn } from "../kernel/file-system.ts";
import { cString, textOf } from "../kernel/memory.ts";
import { mountPath } from "../kernel/mount.ts";
import { NAMESPACES } from "../kernel/namespaces.ts";
import { getLimit } from "../kernel/process.ts";
import { sys } from "../kernel/raw.ts";
import { isIdMapped } from "../plan/idmap.ts";
import { listsNamespace, type MountFact, type PlanFacts } from "../plan/input.ts";
import { optionsOf } from "../plan/mount-options.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { fileSystemOf, isClosed, type Layer, lookAtSource, type Surroundings } from "./bind-source.ts";
import { lastCapability } from "./host.ts";
import type { View } from "./view.ts";

const RLIMIT_NOFILE = 7;
const MAX_LINKS = 40;

interface Place {
  readonly destination: string;
  readonly missing: number;
  readonly inside: number;
}

/** Walks one path: links are followed inside the root, what does not exist is taken by its name. */
function locate(path: string, layers: readonly Layer[], field: string): Place {
  const todo = path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .reverse();
  const done: string[] = [];
  const buffer = new Uint8Array(4096);
  let links = 0;
  // Components up to here exist; what follows is missing.
  let existing = 0;
  const layerOf = (parts: readonly string[]): Layer | undefined => {
    const whole = `/${parts.join("/")}`;
    return layers.findLast(({ at }) => at === "/" || whole === at || whole.startsWith(`${at}/`));
  };
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (name === "..") {
      done.pop();
      existing = Math.min(existing, done.length);
      continue;
    }
    done.push(name);
    if (existing < done.length - 1) continue;
    const layer = layerOf(done);
    const whole = `/${done.join("/")}`;
    if (layer === undefined) continue;
    if (whole === layer.at) {
      existing = done.length;
      continue;
    }
    if (layer.fd === undefined) continue;
    const inside = layer.at === "/" ? whole.slice(1) : whole.slice(layer.at.length + 1);
    const n = sys("readlinkat", layer.fd, cString(inside), buffer, buffer.byteLength);
    if (n === -ERRNO.EINVAL) existing = done.length;
    else if (n >= 0) {
      if (++links > MAX_LINKS) {
        throw fail({
          code: "INVALID_CONFIG",
          field,
          message: `too many symbolic links in ${path}`,
          errno: "ELOOP",
        });
      }
      const target = textOf(buffer, n);
      done.pop();
      if (target.startsWith("/")) done.length = 0;
      existing = done.length;
      todo.push(
        ...target
          .split("/")
          .filter((part) => part !== "" && part !== ".")
          .reverse(),
      );
    } else if (n !== -ERRNO.ENOENT) {
      check(n, { syscall: "readlinkat", path: whole, field, message: `cannot look at ${path}` });
    }
  }
  const destination = `/${done.join("/")}`;
  return { destination, missing: done.length - existing, inside: layerOf(done)?.index ?? -1 };
}

/** The facts of all mounts; what each of them covers is added to `layers`. */
function lookAtMounts(
  config: RuntimeConfig,
  around: Surroundings & { readonly layers: Layer[] },
): MountFact[] {
  const { layers, view } = around;
  const user = listsNamespace(config, "user");
  return (config.mounts ?? []).map((mount, index): MountFact => {
    const field = `mounts[${index}]`;
    const options = optionsOf(mount);
    const { remount } = options;
    const bind = options.bind && !remount;
    const place = locate(mount.destination, layers, `${field}.destination`);
    // Who takes these may take them before the first mount, if nothing of the config lies over them.
    const isEarly = user || isIdMapped(mount, options) || options.propagation.length > 0;
    const { source, file, covered, seen } = bind
      ? lookAtSource(mount, field, around, isEarly)
      : { source: mount.source ?? "", file: false, covered: false, seen: undefined };
    const strict = (mount.type === "proc" || mount.type === "sysfs") && !bind;
    const wanted = mount.destination.replace(/\/+$/, "").replace(/^\/*/, "/");
    if (strict && place.destination !== wanted) {
      throw fail({
        code: "INVALID_CONFIG",
        field: `${field}.destination`,
        message: `${mount.destination} in the root file system leads to ${place.destination} by a symbolic link`,
        hint: `${mount.destination} must be a real directory`,
      });
    }
    if (!remount && !file) {
      const fd = seen !== undefined ? tryOpen(seen, O_PATH | O_DIRECTORY) : undefined;
      layers.push({ at: place.destination, index, fd: fd !== undefined && fd < 0 ? undefined : fd });
    }
    const fact = { ...place, source, file };
    if (!bind) return fact;
    return {
      ...fact,
      ...(place.destination === "/proc" && seen !== undefined && liesIn(seen, PROC_SUPER_MAGIC)
        ? { procfs: true }
        : {}),
      ...(user && isClosed(source, view.see("/")) ? { closed: true } : {}),
      ...(covered ? { covered } : {}),
      ...(isIdMapped(mount, options) ? { fileSystem: fileSystem(seen, view) } : {}),
    };
  });
}

function fileSystem(seen: string | undefined, view: View): string {
  return (seen === undefined ? undefined : fileSystemOf(seen, view.mountinfo())) ?? "unknown";
}

/**
 * The caller's RLIMIT_NOFILE, where JavaScript's start raised our own soft limit above it. Of a caller that is another
 * user's (sudo(8), setpriv(1)) prlimit(2) tells nothing, and procfs does.
 */
export function callersLimit(): PlanFacts["nofile"] {
  const own = getLimit(0, RLIMIT_NOFILE);
  const parent = sys("getppid");
  if (own === undefined || parent === 0) return undefined;
  const theirs =
    getLimit(parent, RLIMIT_NOFILE) ?? descriptorLimit(readTextIfAny(`/proc/${parent}/limits`) ?? "");
  return theirs?.hard === own.hard && theirs.soft < own.soft ? theirs : undefined;
}

/** RLIMIT_NOFILE as /proc/PID/limits has it (proc_pid_limits(5)); undefined where it is not in the text. */
export function descriptorLimit(limits: string): PlanFacts["nofile"] {
  const [, soft, hard] = /^Max open files +(\d+) +(\d+) /m.exec(limits) ?? [];
  return soft === undefined || hard === undefined ? undefined : { soft: BigInt(soft), hard: BigInt(hard) };
}

/** Joined namespaces that belong to the user namespace that is joined too (ioctl_ns(2)). */
function afterUser(config: RuntimeConfig): string[] {
  const namespaces = config.linux?.namespaces ?? [];
  const user = namespaces.find(({ type, path }) => type === "user" && path !== undefined)?.path;
  if (user === undefined) return [];
  const inode = statusOf(user, undefined, 0)?.ino;
  return namespaces.flatMap(({ type, path }) => {
    if (type === "user" || path === undefined) return [];
    const fd = tryOpen(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0) return [];
    const owner = sys("ioctl", fd, NS_GET_USERNS, 0);
    close(fd);
    if (owner < 0) return [];
    return withFd(owner, (open) => (statusOf("", open)?.ino === inode ? [type] : []));
  });
}

/** Joined namespaces that are ctr-bun's own. One whose file cannot be looked at is an error when it is opened. */
function hostsOwn(config: RuntimeConfig): string[] {
  return (config.linux?.namespaces ?? []).flatMap(({ type, path }) => {
    if (path === undefined) return [];
    const theirs = statusOf(path, undefined, 0);
    const own = statusOf(`/proc/self/ns/${NAMESPACES[type].file}`, undefined, 0);
    const same = own !== undefined && own.ino === theirs?.ino && own.devMinor === theirs.devMinor;
    return same ? [type] : [];
  });
}

/** Looks everything up. `bundle` is absolute. */
export function lookUp(config: RuntimeConfig, bundle: string, view: View): PlanFacts {
  const rootfs = config.root.path.startsWith("/") ? config.root.path : `${bundle}/${config.root.path}`;
  const root = check(tryOpen(view.see(rootfs), O_PATH | O_DIRECTORY), {
    syscall: "openat",
    path: rootfs,
    field: "root.path",
    message: "cannot open the root file system",
    hint: "root.path is absolute, or relative to the bundle",
  });
  const layers: Layer[] = [{ at: "/", index: -1, fd: root }];
  const opened: number[] = [];
  try {
    const mounts = lookAtMounts(config, { bundle, rootfs, layers, view, opened });
    const cwd = config.process === undefined ? undefined : locate(config.process.cwd, layers, "process.cwd");
    return {
      bundle,
      rootfs,
      mounts,
      cwd,
      nofile: callersLimit(),
      lastCapability: lastCapability(),
      afterUser: afterUser(config),
      hostsOwn: hostsOwn(config),
      joinedMounts: view.joined,
    };
  } finally {
    for (const fd of opened) close(fd);
    for (const { fd } of layers) if (fd !== undefined) close(fd);
  }
}

/** Mount points of whole procfs and sysfs file systems outside of a root, the last mounted first (mountinfo). */
export function kernelMounts(rootfs: string, mountinfo: string): string[] {
  const points: string[] = [];
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2);
    const [, , , root, point = ""] = before.split(" ");
    const type = after.split(" ", 1)[0];
    if (root !== "/" || (type !== "proc" && type !== "sysfs")) continue;
    const path = mountPath(point);
    if (!`${path}/`.startsWith(`${rootfs}/`)) points.unshift(path);
  }
  return points;
}
