/**
 * Devices: the default ones of the specification (config-linux.md, "Default Devices"), `linux.devices`, and the links
 * in /dev that every Linux system has. Where /dev is a bind mount, it is left as it is (as runc does). Pure.
 */
import { fail } from "../error.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFREG,
  STATX_BASIC_STATS,
} from "../kernel/constants.ts";
import type { LinuxDevice } from "../spec/runtime/config.ts";
import { listsNamespace, type PlanInput } from "./input.ts";
import { optionsOf } from "./mount-options.ts";
import { mountSlot, moveRow } from "./mount-rows.ts";
import { baseOf, openRow, parentOf, ROOT, reachRows } from "./paths.ts";
import { jump, row, slot } from "./rows.ts";
import type { Arg, InitStep, Row } from "./step.ts";

const DEFAULTS: readonly LinuxDevice[] = (
  [
    ["null", 1, 3],
    ["zero", 1, 5],
    ["full", 1, 7],
    ["random", 1, 8],
    ["urandom", 1, 9],
    ["tty", 5, 0],
  ] as const
).map(([name, major, minor]) => ({
  type: "c",
  path: `/dev/${name}`,
  major,
  minor,
  fileMode: 0o666,
  uid: 0,
  gid: 0,
}));

const LINKS: readonly (readonly [name: string, target: string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
];

/** What asks for the default devices. */
const DEFAULT_FIELD = "linux.devices";

const TYPES: Readonly<Record<string, number>> = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO };
/** Slot of /dev. */
const DEV = "dev";
const STATX_SIZE = 256;

/** makedev(3) as mknod(2) takes it: 12 bits of major, 20 of minor. */
function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** Numbers that do not fit would come out as those of another device. */
function refuseNumbers({ type, major = 0, minor = 0 }: LinuxDevice, field: string): void {
  if (type === "p") return;
  for (const [name, value, most] of [
    ["major", major, 0xfff],
    ["minor", minor, 0xfffff],
  ] as const) {
    if (value >= 0 && value <= most) continue;
    const message = `must be from 0 to ${most}, got ${value}`;
    throw fail({ code: "INVALID_CONFIG", field: `${field}.${name}`, message });
  }
}

/** The steps that fill /dev. */
export function deviceSteps(input: PlanInput): InitStep[] {
  const mounts = input.config.mounts ?? [];
  const lastAt = (destination: string) =>
    mounts.findLastIndex(
      (mount, index) => input.facts.mounts[index]?.destination === destination && !optionsOf(mount).remount,
    );
  const last = lastAt("/dev");
  // A mount at / lies over what is before it.
  const at = last > lastAt("/") ? last : -1;
  const mount = mounts[at];
  if (mount !== undefined && optionsOf(mount).bind) return [];
  const user = input.host.userNamespace === true || listsNamespace(input.config, "user");
  const dev: Arg = mount === undefined ? slot(DEV) : slot(mountSlot(at));
  const steps: InitStep[] = [];
  if (mount === undefined) {
    steps.push({
      on: "init",
      field: "linux.devices",
      about: "open /dev",
      path: "/dev",
      rows: [
        row("mkdirat", [slot(ROOT), "dev", 0o755], { allow: "EEXIST" }),
        openRow("/dev", O_PATH | O_DIRECTORY, { store: DEV }, true),
      ],
      hints: { ELOOP: "/dev in the root file system is a symbolic link; it must be a real directory" },
    });
  }
  const own = input.config.linux?.devices ?? [];
  for (const device of DEFAULTS) {
    if (!own.some(({ path }) => path === device.path))
      steps.push(deviceStep(device, DEFAULT_FIELD, dev, user));
  }
  own.forEach((device, index) => {
    refuseNumbers(device, `linux.devices[${index}]`);
    steps.push(deviceStep(device, `linux.devices[${index}]`, dev, user));
  });
  steps.push(linkStep(dev));
  return steps;
}

function linkStep(dev: Arg): InitStep {
  const rows = LINKS.map(([name, target]) => row("symlinkat", [target, dev, name], { allow: "EEXIST" }));
  // As runc: only where the kernel has it.
  rows.push(
    row("faccessat2", [AT_FDCWD, "/proc/kcore", 0, 0], { allow: "any", onError: "no-kcore" }),
    row("symlinkat", ["/proc/kcore", dev, "core"], { allow: "EEXIST" }),
  );
  rows.push(
    row("unlinkat", [dev, "ptmx", 0], { allow: "ENOENT", label: "no-kcore" }),
    row("symlinkat", ["pts/ptmx", dev, "ptmx"]),
  );
  return {
    on: "init",
    field: "linux.devices",
    about: "make the usual links in /dev",
    rows,
  };
}

/** Makes a node, or, where that is forbidden (a user namespace), binds the host's. */
function deviceStep(device: LinuxDevice, field: string, dev: Arg, user: boolean): InitStep {
  const { path, type } = device;
  // A path may be listed twice: the field makes names of labels and buffers unique.
  const key = field === DEFAULT_FIELD ? path : field;
  const direct = parentOf(path) === "/dev";
  const rows: Row[] = [];
  let parent = dev;
  if (!direct) {
    // Directories that are there already are met with EEXIST: every component may be tried.
    const missing = parentOf(path)
      .split("/")
      .filter((part) => part !== "").length;
    rows.push(...reachRows({ path: parentOf(path), missing, file: false, into: "device.parent" }));
    parent = slot("device.parent");
  }
  const name = baseOf(path);
  const about = `make ${path}${type === "p" ? "" : ` (${type} ${device.major}:${device.minor})`}`;
  if (user && type !== "p") rows.push(...bindNodeRows(device, key, parent, name));
  else rows.push(...makeNodeRows(device, key, parent, name));
  return {
    on: "init",
    field,
    about,
    path,
    rows,
    buffers: { [`statx ${key}`]: STATX_SIZE },
    hints: {
      EPERM: "making device nodes takes CAP_MKNOD on the host",
      EEXIST: "another file has that name in the root file system: remove it",
      EROFS: "/dev lies in a read-only file system: mount a tmpfs at /dev",
    },
  };
}

/** A place inside the statx buffer, as an argument whose 8 bytes are loaded. */
function statxField(key: string, offset: number): Arg {
  return { slot: `statx ${key}`, offset };
}

/** Rows after which the file at a descriptor is that device, or the init has failed with EEXIST. */
function verifyRows(
  device: LinuxDevice,
  key: string,
  at: Arg,
  name: string,
  done: string,
  flags: number,
): Row[] {
  const mode = TYPES[device.type] ?? S_IFCHR;
  const wrong = `wrong ${key}`;
  return [
    row("statx", [at, name, 0x100 | flags, STATX_BASIC_STATS, { at: `statx ${key}` }]),
    // stx_mode is the u16 at 28; stx_rdev_major and _minor the u32 at 128 and 132 (linux/stat.h).
    row("test", [statxField(key, 28), 0o170000, mode], { onZero: `typed ${key}` }),
    jump(wrong),
    row(
      "test",
      [
        statxField(key, 128),
        0xffffffffffffffffn,
        BigInt(device.major ?? 0) | (BigInt(device.minor ?? 0) << 32n),
      ],
      {
        label: `typed ${key}`,
        onZero: done,
      },
    ),
    row("fail", [-17, { label: wrong }], { label: wrong }),
  ];
}

function makeNodeRows(device: LinuxDevice, key: string, parent: Arg, name: string): Row[] {
  const { type } = device;
  const mode = (TYPES[type] ?? S_IFCHR) | ((device.fileMode ?? 0o666) & 0o7777);
  const number = type === "p" ? 0 : deviceNumber(Number(device.major ?? 0), Number(device.minor ?? 0));
  const done = `made ${key}`;
  const uid = device.uid ?? 0;
  const gid = device.gid ?? 0;
  const isRoots = uid === 0 && gid === 0;
  const made = isRoots ? done : `own ${key}`;
  const rows = [
    row("mknodat", [parent, name, mode, number], { allow: "EEXIST", onZero: made }),
    ...verifyRows(device, key, parent, name, done, 0),
  ];
  // One that is there already keeps its owner and mode, as in runc: it may be the host's own, in a bind mount.
  if (!isRoots) rows.push(row("fchownat", [parent, name, uid, gid, 0x100], { label: made }));
  rows.push(row("getpid", [], { label: done }));
  return rows;
}

/** The host's node, checked to be what it should be, cloned and moved onto an empty file. */
function bindNodeRows(device: LinuxDevice, key: string, parent: Arg, name: string): Row[] {
  const { path } = device;
  const good = `made ${key}`;
  return [
    row("open_tree", [AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], { store: "node" }),
    ...verifyRows(device, key, slot("node"), "", good, AT_EMPTY_PATH),
    row("mknodat", [parent, name, S_IFREG | 0o644, 0], { allow: "EEXIST", label: good }),
    openRow(path, O_PATH, { store: "destination" }),
    moveRow("node", "destination"),
  ];
}
