/**
 * Containers on disk. Each has a directory `STORE/containers/ID` with everything that is its own; its name is a link
 * `STORE/names/NAME` to that directory: making a link is atomic and fails where there is one, so a name is taken once,
 * by whichever process comes first. No database: what is on disk is all there is.
 * Not here: what the runtime knows of a container that runs (status.ts).
 */

import { asCtrError, type CtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
} from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import {
  close,
  listDirectory,
  mkdirAll,
  open,
  readlink,
  readTextIfAny,
  removeTree,
  replaceFile,
  statusOf,
  tryMkdir,
  tryOpen,
  tryUnlink,
  withFd,
  writeAll,
} from "../kernel/file.ts";
import { cString } from "../kernel/memory.ts";
import { sys } from "../kernel/raw.ts";
import { shortID } from "../spec/image/short-id.ts";
import { parseJson } from "../spec/parse.ts";
import { NAME_PATTERN, randomName } from "./names.ts";
import { ContainerRecord } from "./record.ts";

/** Directory of a container: its bundle. */
export function containerDirectory(store: string, id: string): string {
  return `${store}/containers/${id}`;
}

/** A container's name, taken. `lock` is held while the container is made: closing it says that it is. */
export interface Claim {
  readonly name: string;
  readonly lock: number;
}

/**
 * Makes a container's directory and takes its name; without one, a random one.
 * @param snapshotter noted for those who clean up, should this process be killed before there is a record.
 * @throws CtrError NAME_IN_USE with the ID of the container that has it.
 */
export function claimContainer(
  store: string,
  id: string,
  name: string | undefined,
  snapshotter: string,
): Claim {
  mkdirAll(`${store}/containers`, 0o700);
  mkdirAll(`${store}/names`, 0o700);
  const directory = containerDirectory(store, id);
  // A directory without a lock counts as left behind: no one else looks between the two.
  return withNamesLocked(store, () => {
    check(tryMkdir(directory, 0o700), { syscall: "mkdir", path: directory });
    let lock = -1;
    try {
      const path = lockFile(store, id);
      lock = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600);
      check(sys("flock", lock, LOCK_EX | LOCK_NB), { syscall: "flock", path });
      writeAll(lock, new TextEncoder().encode(snapshotter), path);
      return { name: takeName(store, id, name), lock };
    } catch (error) {
      if (lock >= 0) close(lock);
      removeTree(directory);
      throw error;
    }
  });
}

/** Whether a process is making this container now. The kernel lets go of the lock of one that was killed. */
export function isBeingMade(store: string, id: string): boolean {
  return withNamesLocked(store, () => {
    const fd = tryOpen(lockFile(store, id), O_RDONLY);
    // Shared: two who ask at the same time are not in each other's way.
    return fd >= 0 && withFd(fd, () => sys("flock", fd, LOCK_SH | LOCK_NB) === -ERRNO.EAGAIN);
  });
}

/** What is known of a container that has no record, or a damaged one. */
export function unrecorded(store: string, id: string): Pick<ContainerRecord, "id" | "name" | "snapshotter"> {
  const names = withFd(open(`${store}/names`, O_RDONLY), (directory) => listDirectory(directory));
  const found = names.find(({ name }) => readlink(`${store}/names/${name}`) === target(id));
  const snapshotter = readTextIfAny(lockFile(store, id)) ?? "";
  return { id, name: found?.name ?? "", snapshotter };
}

/** IDs of containers that a process was killed over before they had a record. */
export function abandonedIDs(store: string): string[] {
  return containerIDs(store).filter(
    (id) =>
      statusOf(`${containerDirectory(store, id)}/container.json`) === undefined && !isBeingMade(store, id),
  );
}

function lockFile(store: string, id: string): string {
  return `${containerDirectory(store, id)}/lock`;
}

/** Removes what {@link claimContainer} made and all that came into the directory. What is gone already is fine. */
export function releaseContainer(store: string, id: string, name: string): void {
  whileKept(store, id, () => removeTree(containerDirectory(store, id)));
  if (name === "") return;
  withNamesLocked(store, () => {
    const link = `${store}/names/${name}`;
    if (readlink(link) === target(id)) check(tryUnlink(link), { syscall: "unlink", path: link });
  });
}

/** Writes a container's record; readers see the old one or the new one. */
export function writeRecord(store: string, record: ContainerRecord): void {
  const text = `${JSON.stringify(record, undefined, 2)}\n`;
  replaceFile(
    `${containerDirectory(store, record.id)}/container.json`,
    new TextEncoder().encode(text),
    0o600,
  );
}

/** Changes a record if the container is still there; one change at a time. */
export function updateRecord(
  store: string,
  id: string,
  change: (record: ContainerRecord) => ContainerRecord,
): ContainerRecord | undefined {
  return whileKept(store, id, () => {
    const record = readRecord(store, id);
    if (record === undefined) return undefined;
    const changed = change(record);
    writeRecord(store, changed);
    return changed;
  });
}

/** Nobody else changes the record meanwhile, or takes the directory away. Undefined where there is none. */
function whileKept<T>(store: string, id: string, work: () => T): T | undefined {
  const path = containerDirectory(store, id);
  const fd = tryOpen(path, O_RDONLY | O_DIRECTORY);
  if (fd === -ERRNO.ENOENT) return undefined;
  check(fd, { syscall: "open", path });
  return withFd(fd, (directory) => {
    check(sys("flock", directory, LOCK_EX), { syscall: "flock", path });
    return work();
  });
}

/**
 * A container's record; undefined where there is none yet, or no longer.
 * @throws CtrError DAMAGED_RECORD.
 */
export function readRecord(store: string, id: string): ContainerRecord | undefined {
  const path = `${containerDirectory(store, id)}/container.json`;
  const text = readTextIfAny(path);
  if (text === undefined) return undefined;
  try {
    return parseJson(ContainerRecord, text, "container.json");
  } catch (cause) {
    const { field, message } = asCtrError(cause);
    throw fail({
      code: "DAMAGED_RECORD",
      message: `the record of container ${shortID(id)} is damaged: ${field === undefined ? "" : `${field}: `}${message}`,
      path,
      hint: `what is left of it is removed with: ctr-bun rm -f ${shortID(id)}`,
      cause,
    });
  }
}

/** All containers, newest first. Of one whose record cannot be read `warn` is told, and the others are given. */
export function listRecords(
  store: string,
  warn: (message: string) => void = () => undefined,
): ContainerRecord[] {
  const records = containerIDs(store).flatMap((id) => {
    try {
      return readRecord(store, id) ?? [];
    } catch (error) {
      const { message, hint } = asCtrError(error);
      warn(hint === undefined ? message : `${message}; ${hint}`);
      return [];
    }
  });
  return records.sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : 0));
}

/**
 * The container that a person means: by name, ID or the start of an ID.
 * @throws CtrError NOT_FOUND in Docker's words; AMBIGUOUS.
 */
export function findContainer(store: string, text: string): ContainerRecord {
  const record = readRecord(store, findID(store, text));
  if (record === undefined) throw notFound(text);
  return record;
}

/** As {@link findContainer}, the ID alone: of one without a record too. */
export function findID(store: string, text: string): string {
  const name = text.replace(/^\//, "");
  const link = NAME_PATTERN.test(name) ? readlink(`${store}/names/${name}`) : undefined;
  const id = link === undefined ? idByPrefix(store, text) : link.slice(link.lastIndexOf("/") + 1);
  if (id === undefined || statusOf(containerDirectory(store, id)) === undefined) throw notFound(text);
  return id;
}

function idByPrefix(store: string, text: string): string | undefined {
  if (!/^[0-9a-f]{1,64}$/.test(text)) return undefined;
  const matches = containerIDs(store).filter((id) => id.startsWith(text));
  if (matches.length > 1) {
    throw fail({
      code: "AMBIGUOUS",
      message: `${matches.length} containers have an ID that starts with ${text}`,
      hint: `give more of it: ${matches.slice(0, 5).map(shortID).join(", ")}`,
    });
  }
  return matches[0];
}

function containerIDs(store: string): string[] {
  const path = `${store}/containers`;
  const fd = tryOpen(path, O_RDONLY | O_DIRECTORY);
  if (fd === -ERRNO.ENOENT) return [];
  check(fd, { syscall: "open", path, message: "cannot read the store" });
  const names = withFd(fd, (directory) => listDirectory(directory).map((entry) => entry.name));
  return names.filter((name) => /^[0-9a-f]{64}$/.test(name));
}

function takeName(store: string, id: string, wanted: string | undefined): string {
  for (let tries = 0; ; tries++) {
    const name = wanted ?? randomName(tries);
    const link = `${store}/names/${name}`;
    const result = sys("symlinkat", cString(target(id)), AT_FDCWD, cString(link));
    if (result !== -ERRNO.EEXIST) {
      check(result, { syscall: "symlink", path: link });
      return name;
    }
    const holder = readlink(link) ?? "";
    const held = holder.slice(holder.lastIndexOf("/") + 1);
    // A process that died while it made or removed the container left the name behind.
    if (statusOf(containerDirectory(store, held)) === undefined) tryUnlink(link);
    else if (wanted !== undefined) throw nameInUse(wanted, held);
  }
}

function target(id: string): string {
  return `../containers/${id}`;
}

/** The lock is for what is more than one step: finding a name left behind, and taking it. */
function withNamesLocked<T>(store: string, work: () => T): T {
  const path = `${store}/names/.lock`;
  return withFd(open(path, O_RDWR | O_CREAT, 0o600), (fd) => {
    check(sys("flock", fd, LOCK_EX), { syscall: "flock", path });
    return work();
  });
}

function nameInUse(name: string, id: string): CtrError {
  return fail({
    code: "NAME_IN_USE",
    field: "--name",
    message: `the name ${JSON.stringify(name)} is in use by container ${shortID(id)}`,
    hint: `remove that container (ctr-bun rm ${name}), or take another name`,
  });
}

function notFound(text: string): CtrError {
  return fail({
    code: "NOT_FOUND",
    message: `No such container: ${text}`,
    hint: "'ctr-bun ps -a' lists all containers",
  });
}
