/**
 * `mounts` of config.json as init rows, in order: bind mounts are cloned inside the container's mount namespace, file
 * systems are made with the mount API, and each is moved onto the descriptor of its destination. Before pivot_root.
 * Not here: the root itself (root.ts), cgroup mounts (cgroup-mount.ts), reading options (mount-options.ts).
 */
import { fail } from "../error.ts";
import { F_DUPFD_CLOEXEC, MOUNT_ATTR_RDONLY, MS_I_VERSION, O_PATH } from "../kernel/constants.ts";
import type { Mount } from "../spec/runtime/config.ts";
import { cgroupMountRows } from "./cgroup-mount.ts";
import { copyUpSteps } from "./copy-up.ts";
import { refuseIdMap } from "./idmap.ts";
import type { MountFact, PlanInput } from "./input.ts";
import { contextOption, isQuoted, joinOptions, labelRootRows } from "./labels.ts";
import { changesAnything, type MountOptions, optionsOf } from "./mount-options.ts";
import { attributeRow, mountSlot, moveRow, newMountRows, remountRows } from "./mount-rows.ts";
import { openRow, ROOT, reachRows } from "./paths.ts";
import { row, slot } from "./rows.ts";
import { helperSourceSteps, TAKE_HINTS, takeRow, takerOf } from "./sources.ts";
import type { InitStep, Row, Step } from "./step.ts";

/** fsconfig(2) takes strings of up to 255 bytes; what is longer goes through mount(2). */
const FSCONFIG_MAX = 255;
/** Destinations below /proc that may be covered (as runc lets them): they lead to no process's files. */
const PROC_ALLOWED = new Set(
  "cpuinfo diskstats loadavg meminfo net/dev slabinfo stat swaps sys/crypto/fips_enabled sys/kernel/ns_last_pid uptime".split(
    " ",
  ),
);

/** The steps of all mounts. */
export function mountSteps(
  input: PlanInput,
  cgroupPaths: Readonly<Record<string, string>>,
  warnings: string[],
): Step[] {
  const mounts = input.config.mounts ?? [];
  return mounts.flatMap((mount, index) => {
    const fact = input.facts.mounts[index];
    if (fact === undefined) throw fail({ code: "INTERNAL", message: `mounts[${index}] was not looked up` });
    const options = optionsOf(mount);
    refuse(mount, fact, options, `mounts[${index}]`);
    refuseIdMap(input, mount, options, `mounts[${index}]`);
    const ignores = ignoresData(input, mount, options);
    if (ignores !== undefined && options.data.length > 0) {
      const names = options.data.join(", ");
      warnings.push(
        `mounts[${index}].options: ${ignores} takes no options of file systems, ignored: ${names}`,
      );
    }
    const step = mountStep(input, cgroupPaths, mount, fact, options, index);
    // What it covers is reached by then, and nobody has seen it yet but by its descriptor.
    const after = copiesUp(mount, options) ? copyUpSteps(input, fact.destination, index) : [];
    const sources = fact.covered === true ? helperSourceSteps(input, index) : [];
    return [...sources, step, ...after];
  });
}

function mountStep(
  input: PlanInput,
  cgroupPaths: Readonly<Record<string, string>>,
  mount: Mount,
  fact: MountFact,
  options: MountOptions,
  index: number,
): InitStep {
  const field = `mounts[${index}]`;
  const into = mountSlot(index);
  const { destination } = fact;
  const reach = reachRows({
    path: destination,
    missing: fact.missing,
    file: fact.file,
    into: "destination",
    // The links on the way were followed beforehand: one that is there now was put there since, or lies in a file system
    // that this very config mounts. Either could lead into /proc.
    strict: true,
  });
  const step = (about: string, rows: Row[], hints: Record<string, string>): InitStep => ({
    on: "init",
    field,
    about,
    path: destination,
    rows,
    hints,
  });
  if (options.remount) {
    const rows = [...reach, ...remountRows(options, "destination"), ...settle("destination", options)];
    return step(`change the mount at ${destination}`, rows, HINTS);
  }
  if (options.bind) {
    const source = { mount, fact, options, index };
    const rows = [
      ...(takerOf(input, source) === "init" ? [takeRow(source)] : []),
      ...settle(into, options),
      ...reach,
      moveRow(into, "destination"),
      ...newRootRows(destination, into),
    ];
    return step(`bind ${fact.source} at ${destination}`, rows, BIND_HINTS);
  }
  if (mount.type === "cgroup" || mount.type === "cgroup2") {
    const rows = [...reach, ...cgroupMountRows(input, cgroupPaths, options, into)];
    rows.push(
      ...settle(into, { ...options, attributes: { set: 0, clear: 0 } }),
      ...newRootRows(destination, into),
    );
    return step(`mount cgroup at ${destination}`, rows, HINTS);
  }
  const type = mount.type ?? "";
  const data = [...options.data, ...contextOption(input, type, options.data)];
  const { set, clear } = options.attributes;
  const late = {
    ...options,
    data,
    attributes: isLateReadonly(mount, options) ? { set: set & ~MOUNT_ATTR_RDONLY, clear } : { set, clear },
  };
  const isOld =
    options.iversion ||
    [fact.source, ...data].some((option) => option.length > FSCONFIG_MAX || isQuoted(option));
  const rows = isOld
    ? [...reach, ...oldMountRows(type, fact.source, late, into, destination)]
    : [...newMountRows(type, fact.source, late, into), ...reach, moveRow(into, "destination")];
  rows.push(...labelRootRows(input, type, into));
  rows.push(
    ...settle(into, { ...options, attributes: { set: 0, clear: 0 } }),
    ...newRootRows(destination, into),
  );
  if (isOld && destination === "/") {
    throw fail({
      code: "UNSUPPORTED",
      field: `${field}.options`,
      message: `a mount at / takes neither iversion nor quoted options or ones of more than ${FSCONFIG_MAX} bytes`,
      hint: "mount it on the host, and give its place as root.path",
    });
  }
  const isLabelled = (input.config.linux?.mountLabel ?? "") !== "";
  return step(`mount ${type} at ${destination}`, rows, isLabelled ? LABEL_HINTS : HINTS);
}

/** What is mounted at / is the root from then on, as in runc: later mounts lie in it, and the container enters it. */
function newRootRows(destination: string, mount: string): Row[] {
  return destination === "/" ? [row("fcntl", [slot(mount), F_DUPFD_CLOEXEC, 3], { store: ROOT })] : [];
}

/** What kind of mount it is that leaves options of file systems out, as in runc; undefined: it takes them. */
function ignoresData({ host }: PlanInput, { type }: Mount, { bind }: MountOptions): string | undefined {
  if (bind) return "a bind mount";
  if (!/^cgroup2?$/.test(type ?? "")) return undefined;
  return host.cgroup.mode === "unified" ? undefined : "a tree of cgroup hierarchies";
}

/** Whether what a mount covers is copied into it; runc, too, does so for a tmpfs alone. */
function copiesUp({ type }: Mount, { tmpcopyup, bind, remount }: MountOptions): boolean {
  return tmpcopyup && type === "tmpfs" && !bind && !remount;
}

/** A read-only tmpfs gets what later mounts and devices need in it before it becomes read-only. */
function isLateReadonly({ type }: Mount, { attributes, bind, remount }: MountOptions): boolean {
  return type === "tmpfs" && !bind && !remount && (attributes.set & MOUNT_ATTR_RDONLY) !== 0;
}

/** Makes each tmpfs read-only that is to be, once everything stands. */
export function lateReadonlySteps({ config, facts }: PlanInput): InitStep[] {
  return (config.mounts ?? []).flatMap((mount, index) => {
    if (!isLateReadonly(mount, optionsOf(mount))) return [];
    const destination = facts.mounts[index]?.destination ?? mount.destination;
    const rows = [attributeRow(mountSlot(index), { set: MOUNT_ATTR_RDONLY, clear: 0 }, false)];
    return [
      {
        on: "init" as const,
        field: `mounts[${index}]`,
        about: `make ${destination} read-only`,
        path: destination,
        rows,
      },
    ];
  });
}

const HINTS: Record<string, string> = {
  ENODEV: "this kernel has no such file system: load its module, or change the type",
  ENOENT: "a directory of the destination is missing and could not be made",
  ELOOP: "a symbolic link came into the way to the destination; it must be a real directory",
  EROFS: "the destination does not exist and lies in a read-only file system: make it beforehand",
  ENOTDIR: "the destination must be a directory where the source is one, and a file where it is a file",
  EINVAL: "the file system does not know one of the options",
};
const LABEL_HINTS: Record<string, string> = {
  ...HINTS,
  EINVAL: `${HINTS.EINVAL}, or the loaded policy has no such label as linux.mountLabel`,
};
const BIND_HINTS: Record<string, string> = {
  ...HINTS,
  ...TAKE_HINTS,
  EINVAL: "a directory is bound onto a directory, a file onto a file: one of the two is of the other kind",
  EACCES: "root of the container's user namespace may not make the destination: make it beforehand",
};

function refuse(mount: Mount, fact: MountFact, options: MountOptions, field: string): void {
  if (mount.type === undefined && !options.bind && !options.remount) {
    throw fail({
      code: "INVALID_CONFIG",
      field: `${field}.type`,
      message: "missing, and the options have neither bind nor rbind",
    });
  }
  const below = fact.destination.startsWith("/proc/") ? fact.destination.slice(6) : undefined;
  if (below !== undefined && !PROC_ALLOWED.has(below)) {
    throw fail({
      code: "INVALID_CONFIG",
      field: `${field}.destination`,
      message: `${mount.destination} lies in /proc, which must stay the kernel's own`,
      hint: `mounts in /proc may cover only: ${[...PROC_ALLOWED].join(", ")}`,
    });
  }
  if (fact.destination === "/proc" && options.bind && fact.procfs !== true) {
    throw fail({
      code: "INVALID_CONFIG",
      field: `${field}.source`,
      message: `/proc must be the kernel's own, and ${fact.source} is no procfs`,
      hint: "mount type proc there, or bind the host's /proc",
    });
  }
  if (fact.destination === "/proc" && mount.type !== "proc" && !options.bind && !options.remount) {
    throw fail({
      code: "INVALID_CONFIG",
      field: `${field}.type`,
      message: `/proc must be of type proc, not ${JSON.stringify(mount.type)}`,
    });
  }
}

/** Attributes and propagation of a mount that a slot stands for. */
function settle(of: string, options: MountOptions): Row[] {
  const rows: Row[] = [];
  if (changesAnything(options.recursiveAttributes))
    rows.push(attributeRow(of, options.recursiveAttributes, true));
  if (changesAnything(options.attributes)) rows.push(attributeRow(of, options.attributes, false));
  for (const { flag, recursive } of options.propagation) {
    rows.push(attributeRow(of, { set: 0, clear: 0 }, recursive, flag));
  }
  return rows;
}

/** mount(2) onto the working directory, for options that fsconfig(2) cannot take. */
function oldMountRows(
  type: string,
  source: string,
  options: MountOptions,
  into: string,
  path: string,
): Row[] {
  return [
    row("fchdir", [slot("destination")]),
    row("mount", [source, ".", type, options.iversion ? MS_I_VERSION : 0, joinOptions(options.data)]),
    openRow(path, O_PATH, { store: into }),
    ...(changesAnything(options.attributes) ? [attributeRow(into, options.attributes, false)] : []),
  ];
}
