/**
 * The overlay snapshotter's records on disk. Below its root:
 *
 *     lock        taken with flock(2): shared to read, exclusive to change
 *     dirty       there while a change is under way; who finds it there rebuilds `keys`
 *     keys/HASH   symbolic link to the number of the snapshot whose key has this SHA-256
 *     N/          one snapshot, numbered in base 36 to keep mount options short
 *       info.json   {"key", "kind", "parent"}: the snapshot exists when, and only when, this does
 *       fs/         the layer
 *       work/       overlayfs's own, of active snapshots
 *     trash-N-*   being removed
 *
 * Not here: what a snapshot is mounted as (mounts.ts), and the rules of its life (driver.ts).
 */
import type { SnapshotInfo, SnapshotKind } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { check } from "../../src/kernel/check.ts";
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_SH,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
} from "../../src/kernel/constants.ts";
import { byteString, namesIn, readlinkAt, removeTreeAt, trySymlinkAt } from "../../src/kernel/directory.ts";
import {
  close,
  mkdirAll,
  open,
  readTextIfAny,
  rename,
  replaceFile,
  statusOf,
  tryMkdir,
  tryUnlink,
  withFd,
} from "../../src/kernel/file.ts";
import { sys } from "../../src/kernel/raw.ts";

/** A snapshot and the number of its directory. */
export interface SnapshotRecord extends SnapshotInfo {
  readonly id: string;
}

/** Records below one root. */
export interface Records {
  /** Runs `use` while nobody changes anything. */
  read<T>(use: () => T): T;
  /** Runs `use` alone. What it does not finish, the next one cleans up. */
  change<T>(use: () => T): T;
  find(key: string): SnapshotRecord | undefined;
  all(): SnapshotRecord[];
  /** Makes the directory of a new snapshot, which does not exist before {@link Records.write}. */
  allocate(): string;
  write(record: SnapshotRecord): void;
  /** Renames a snapshot's key and kind in one step. */
  rekey(record: SnapshotRecord, next: SnapshotInfo): void;
  /** Makes a snapshot not exist; gives the directory that is left to remove. */
  drop(record: SnapshotRecord): string;
  /** Removes what {@link Records.drop} left, also of a process that died over it. */
  sweep(): void;
  path(id: string): string;
}

const KINDS: readonly string[] = ["committed", "active", "view"] satisfies readonly SnapshotKind[];
const NUMBER = /^[0-9a-z]{1,8}$/;
const KEY_LIMIT = 512;

/** A key is any short line of text; it is hashed before it becomes a name. */
function hashOf(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (key === "" || key.length > KEY_LIMIT || /[\u0000-\u001f\u007f]/.test(key)) {
    throw fail({
      code: "INVALID_ARGUMENT",
      message: `no key of a snapshot: ${JSON.stringify(key.slice(0, KEY_LIMIT))}`,
    });
  }
  return new Bun.CryptoHasher("sha256").update(key).digest("hex");
}

/** Opens the records below a root, which is made if it is not there. */
export function openRecords(root: string): Records {
  mkdirAll(root, 0o700);
  const made = tryMkdir(`${root}/keys`, 0o700);
  if (made < 0 && statusOf(`${root}/keys`) === undefined)
    check(made, { syscall: "mkdir", path: `${root}/keys` });
  const path = (id: string) => `${root}/${id}`;
  const dirty = `${root}/dirty`;

  function locked<T>(how: number, use: () => T): T {
    const lock = open(`${root}/lock`, O_RDWR | O_CREAT, 0o600);
    try {
      check(sys("flock", lock, how), { syscall: "flock", path: `${root}/lock` });
      return use();
    } finally {
      close(lock);
    }
  }

  function names(): string[] {
    return withFd(open(root, O_RDONLY | O_DIRECTORY), namesIn);
  }

  function readRecord(id: string): SnapshotRecord | undefined {
    const text = readTextIfAny(`${root}/${id}/info.json`);
    return text === undefined ? undefined : parseRecord(text, id, `${root}/${id}/info.json`);
  }

  function all(): SnapshotRecord[] {
    const records: SnapshotRecord[] = [];
    for (const name of names()) {
      const record = isNumber(name) ? readRecord(name) : undefined;
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  function index({ key, id }: SnapshotRecord): void {
    const link = `${root}/keys/${hashOf(key)}`;
    const temporary = `${root}/keys/new`;
    tryUnlink(temporary);
    check(trySymlinkAt(id, AT_FDCWD, byteString(temporary)), { syscall: "symlink", path: link });
    rename(temporary, link);
  }

  /** After a process died in the middle of a change: what has no record goes, and every record is indexed again. */
  function rebuild(): void {
    const found = all();
    const known = new Set(found.map(({ id }) => id));
    withFd(open(root, O_RDONLY | O_DIRECTORY), (fd) => {
      for (const name of namesIn(fd)) {
        if (isNumber(name) && !known.has(name)) removeTreeAt(fd, name);
      }
    });
    withFd(open(`${root}/keys`, O_RDONLY | O_DIRECTORY), (fd) => {
      for (const name of namesIn(fd)) removeTreeAt(fd, name);
    });
    for (const record of found) index(record);
    tryUnlink(dirty);
  }

  const isDirty = () => statusOf(dirty) !== undefined;

  return {
    path,
    all,
    read(use) {
      const ask = () => (isDirty() ? undefined : { answer: use() });
      const first = locked(LOCK_SH, ask);
      if (first !== undefined) return first.answer;
      return locked(LOCK_EX, () => {
        if (isDirty()) rebuild();
        return use();
      });
    },
    change(use) {
      return locked(LOCK_EX, () => {
        if (isDirty()) rebuild();
        close(open(dirty, O_RDWR | O_CREAT, 0o600));
        try {
          const answer = use();
          tryUnlink(dirty);
          return answer;
        } catch (error) {
          rebuild();
          throw error;
        }
      });
    },
    find(key) {
      const id = readlinkAt(AT_FDCWD, byteString(`${root}/keys/${hashOf(key)}`));
      const record = id !== undefined && NUMBER.test(id) ? readRecord(id) : undefined;
      return record?.key === key ? record : undefined;
    },
    allocate() {
      let highest = 0;
      for (const name of names()) if (isNumber(name)) highest = Math.max(highest, Number.parseInt(name, 36));
      let next = highest + 1;
      while (!isNumber(next.toString(36))) next++;
      const id = next.toString(36);
      check(tryMkdir(path(id), 0o700), { syscall: "mkdir", path: path(id) });
      return id;
    },
    write(record) {
      const { key, kind, parent } = record;
      const text = JSON.stringify({ key, kind, parent });
      replaceFile(`${path(record.id)}/info.json`, new TextEncoder().encode(text), 0o600);
      index(record);
    },
    rekey(record, next) {
      this.write({ ...next, id: record.id });
      tryUnlink(`${root}/keys/${hashOf(record.key)}`);
    },
    drop(record) {
      const trash = `${root}/trash-${record.id}-${process.pid}-${Date.now()}`;
      tryUnlink(`${root}/keys/${hashOf(record.key)}`);
      rename(path(record.id), trash);
      return trash;
    },
    sweep() {
      withFd(open(root, O_RDONLY | O_DIRECTORY), (fd) => {
        for (const name of namesIn(fd)) if (name.startsWith("trash-")) removeTreeAt(fd, name);
      });
    },
  };
}

/** Whether a name below the root is a snapshot's number, and not one of the other names there. */
function isNumber(name: string): boolean {
  return NUMBER.test(name) && name !== "lock" && name !== "keys" && name !== "dirty";
}

function parseRecord(text: string, id: string, path: string): SnapshotRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail({ code: "CORRUPT", message: "a snapshot's record is no JSON", path, cause: error });
  }
  const record = typeof value === "object" && value !== null ? value : {};
  const key = "key" in record ? record.key : undefined;
  const kind = "kind" in record ? record.kind : undefined;
  const parent = "parent" in record ? record.parent : undefined;
  const whole =
    typeof key === "string" && isKind(kind) && (parent === undefined || typeof parent === "string");
  if (!whole) throw fail({ code: "CORRUPT", message: "a snapshot's record is incomplete", path });
  return { key, kind, parent, id };
}

function isKind(kind: unknown): kind is SnapshotKind {
  return typeof kind === "string" && KINDS.includes(kind);
}
