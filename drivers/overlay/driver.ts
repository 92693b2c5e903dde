/**
 * The overlay snapshotter: layers as directories, put together by overlayfs.
 * What lives here: the life of a snapshot (the contract is in src/driver.ts). Not here: records on disk (records.ts),
 * mount options (mounts.ts), unpacking (src/image/layer/).
 */
import type {
  Host,
  Probe,
  SnapshotInfo,
  SnapshotKind,
  SnapshotMount,
  Snapshotter,
  SnapshotterDriver,
} from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { tryChmod, tryChown, trySetTimes } from "../../src/kernel/attributes.ts";
import { callError, check } from "../../src/kernel/check.ts";
import { O_DIRECTORY, O_RDONLY, OVERLAYFS_SUPER_MAGIC } from "../../src/kernel/constants.ts";
import { byteString, removeTreeAt, statAt } from "../../src/kernel/directory.ts";
import { close, open, readTextIfAny, tryMkdir, withFd } from "../../src/kernel/file.ts";
import { tryFileSystemOf } from "../../src/kernel/file-system.ts";
import { trySetXattr, xattrsAt } from "../../src/kernel/xattr.ts";
import { mountsOf } from "./mounts.ts";
import { openRecords, type Records, type SnapshotRecord } from "./records.ts";
import { treeUsage } from "./usage.ts";

/** A snapshotter that can be given a snapshot's parent as late as at its commit. */
export interface RebasingSnapshotter extends Snapshotter {
  /**
   * With a parent, which only a snapshot prepared without one may get: so the layers of an image can be unpacked
   * side by side, and are put on top of each other when they are done.
   */
  commit(name: string, key: string, parent?: string): void;
}

/** The factory, with what its snapshotters can do besides the contract. */
export interface OverlayDriver extends SnapshotterDriver {
  open(root: string): RebasingSnapshotter;
}

const CAP_SYS_ADMIN = 1n << 21n;

function probe(host: Host): Probe {
  const known = readTextIfAny("/proc/filesystems")?.split("\n") ?? [];
  if (!known.some((line) => line.endsWith("\toverlay"))) {
    return { ok: false, why: "the kernel has no overlay file system", hint: "try: modprobe overlay" };
  }
  if (host.uid !== 0) return { ok: false, why: "mounting an overlay needs root", hint: "run as root" };
  if ((host.capabilities & CAP_SYS_ADMIN) === 0n) {
    return {
      ok: false,
      why: "mounting an overlay needs CAP_SYS_ADMIN",
      hint: "give ctr-bun this capability",
    };
  }
  return { ok: true };
}

/** The built-in snapshotter named `overlay`. */
export const overlayDriver: OverlayDriver = {
  kind: "snapshotter",
  name: "overlay",
  probe,
  open: openOverlay,
};

function openOverlay(root: string): RebasingSnapshotter {
  if (!root.startsWith("/") || /[:,\\]/.test(root)) {
    throw fail({
      code: "INVALID_ARGUMENT",
      message:
        "the overlay snapshotter's directory must be an absolute path without colon, comma and backslash",
      path: root,
    });
  }
  const records = openRecords(root);
  refuseOverlay(root);
  const fs = (id: string) => `${records.path(id)}/fs`;
  const work = (id: string) => `${records.path(id)}/work`;

  function create(key: string, kind: "active" | "view", parent: string | undefined): SnapshotMount[] {
    return records.change(() => {
      if (records.find(key) !== undefined) throw exists(key);
      const below = parent === undefined ? undefined : committed(records, parent);
      const id = records.allocate();
      for (const [path, mode] of [
        [fs(id), 0o755],
        [work(id), 0o700],
      ] as const) {
        if (kind === "active" || path === fs(id)) check(tryMkdir(path, mode), { syscall: "mkdir", path });
      }
      copyRoot(below === undefined ? undefined : fs(below.id), fs(id));
      const record: SnapshotRecord = { key, kind, parent, id };
      const mounts = show(record);
      records.write(record);
      return mounts;
    });
  }

  function show(record: SnapshotRecord): SnapshotMount[] {
    if (record.kind === "committed")
      throw wrongKind(record.key, "is committed: make a view of it to mount it");
    const lower = parents(records, record).map(({ id }) => fs(id));
    return mountsOf({ kind: record.kind, upper: fs(record.id), work: work(record.id), lower });
  }

  return {
    name: "overlay",
    stat: (key) => records.read(() => infoOf(records.find(key))),
    usage: (key) => treeUsage(fs(records.read(() => existing(records, key)).id)),
    prepare: (key, parent) => create(key, "active", parent),
    view: (key, parent) => create(key, "view", parent),
    mounts: (key) => records.read(() => show(existing(records, key))),
    upper(key) {
      const record = records.read(() => existing(records, key));
      return record.kind === "active" ? fs(record.id) : undefined;
    },
    commit(name, key, parent) {
      const id = records.change(() => {
        const record = existing(records, key);
        if (record.kind !== "active")
          throw wrongKind(key, `is ${record.kind}: only an active one can be committed`);
        if (parent !== undefined && record.parent !== undefined && record.parent !== parent) {
          throw wrongKind(key, "has another parent already");
        }
        if (name !== key && records.find(name) !== undefined) throw exists(name);
        const under = record.parent ?? parent;
        if (under !== undefined) {
          const below = committed(records, under);
          if (record.parent === undefined && isUntouchedRoot(fs(record.id)))
            copyRoot(fs(below.id), fs(record.id));
        }
        records.rekey(record, { key: name, kind: "committed", parent: under });
        return record.id;
      });
      removeTreeAt(-100, byteString(work(id)));
    },
    remove(key) {
      records.change(() => {
        const record = existing(records, key);
        const child = records.all().find((other) => other.parent === key);
        if (child !== undefined) {
          throw fail({
            code: "IN_USE",
            message: `snapshot ${JSON.stringify(key)} is the parent of ${JSON.stringify(child.key)}`,
            hint: "remove what is above it first",
          });
        }
        records.drop(record);
      });
      records.sweep();
    },
    walk(visit) {
      for (const record of records.read(() => records.all())) visit(info(record));
    },
  };
}

function info({ key, kind, parent }: SnapshotRecord): SnapshotInfo {
  return { key, kind, parent };
}

function infoOf(record: SnapshotRecord | undefined): SnapshotInfo | undefined {
  return record === undefined ? undefined : info(record);
}

function existing(records: Records, key: string): SnapshotRecord {
  const record = records.find(key);
  if (record === undefined) {
    throw fail({ code: "NOT_FOUND", message: `there is no snapshot ${JSON.stringify(key)}` });
  }
  return record;
}

function committed(records: Records, key: string): SnapshotRecord {
  const record = existing(records, key);
  const kind: SnapshotKind = record.kind;
  if (kind !== "committed") throw wrongKind(key, `is ${kind}: only a committed one can be a parent`);
  return record;
}

/** The chain below a snapshot, nearest first. */
function parents(records: Records, record: SnapshotRecord): SnapshotRecord[] {
  const chain: SnapshotRecord[] = [];
  for (let parent = record.parent; parent !== undefined; ) {
    const next = existing(records, parent);
    if (chain.length > 1000) throw fail({ code: "CORRUPT", message: "snapshots are each other's parents" });
    chain.push(next);
    parent = next.parent;
  }
  return chain;
}

/**
 * The root directory of an overlay is its topmost layer's: owner, mode, attributes and times come along. Without a
 * parent it is root's, 0755, and of 1970: the same whenever it is made.
 */
function copyRoot(from: string | undefined, to: string): void {
  withFd(open(to, O_RDONLY | O_DIRECTORY), (fd) => {
    const source = from === undefined ? undefined : open(from, O_RDONLY | O_DIRECTORY);
    const stat = source === undefined ? undefined : statAt(source);
    const context = { syscall: "fchmod", path: to } as const;
    check(tryChown(fd, stat?.uid ?? 0, stat?.gid ?? 0), { ...context, syscall: "fchown" });
    check(tryChmod(fd, stat?.mode ?? 0o755), context);
    check(trySetTimes(fd, stat?.seconds ?? 0, stat?.nanoseconds ?? 0), { ...context, syscall: "utimensat" });
    if (source === undefined || stat === undefined) return;
    for (const [name, value] of xattrsAt(source, ".")) {
      if (!name.startsWith("trusted.overlay.")) trySetXattr(fd, name, value);
    }
    close(source);
  });
}

/** Whether a root directory is as {@link copyRoot} made it without a parent: its layer had no entry for it. */
function isUntouchedRoot(path: string): boolean {
  return withFd(open(path, O_RDONLY | O_DIRECTORY), (fd) => {
    const stat = statAt(fd);
    if (stat === undefined || stat.seconds !== 0 || stat.nanoseconds !== 0) return false;
    return stat.mode === 0o755 && stat.uid === 0 && stat.gid === 0 && xattrsAt(fd, ".").size === 0;
  });
}

/** overlayfs cannot have its upper directory on overlayfs. */
function refuseOverlay(root: string): void {
  const found = tryFileSystemOf(root);
  if (typeof found === "number") throw callError(-found, { syscall: "statfs", path: root });
  if (found.type !== OVERLAYFS_SUPER_MAGIC) return;
  throw fail({
    code: "UNSUPPORTED",
    message: "the store is on an overlay file system, and an overlay cannot be made on top of one",
    path: root,
    hint: "put the store on another file system (a volume, a tmpfs), with --store",
  });
}

function exists(key: string) {
  return fail({ code: "ALREADY_EXISTS", message: `there is already a snapshot ${JSON.stringify(key)}` });
}

function wrongKind(key: string, what: string) {
  return fail({ code: "INVALID_ARGUMENT", message: `snapshot ${JSON.stringify(key)} ${what}` });
}
