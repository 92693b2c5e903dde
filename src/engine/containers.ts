/**
 * Containers on disk. Each has a directory `STORE/containers/ID` with everything that is its own; its name is a link
 * `STORE/names/NAME` to that directory: making a link is atomic and fails where there is one, so a name is taken once,
 * by whichever process comes first. No database: what is on disk is all there is.
 * Not here: what the runtime knows of a container that runs (status.ts).
 */
import { type CtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { AT_FDCWD, LOCK_EX, O_CREAT, O_RDONLY, O_RDWR } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import {
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
} from "../kernel/file.ts";
import { cString } from "../kernel/memory.ts";
import { sys } from "../kernel/raw.ts";
import { parseJson } from "../spec/parse.ts";
import { NAME_PATTERN, randomName } from "./names.ts";
import { ContainerRecord } from "./record.ts";

/** Directory of a container: its bundle. */
export function containerDirectory(store: string, id: string): string {
  return `${store}/containers/${id}`;
}

/**
 * Makes a container's directory and takes its name; without one, a random one.
 * @throws CtrError NAME_IN_USE with the ID of the container that has it.
 */
export function claimContainer(store: string, id: string, name: string | undefined): string {
  mkdirAll(`${store}/containers`, 0o700);
  mkdirAll(`${store}/names`, 0o700);
  const directory = containerDirectory(store, id);
  check(tryMkdir(directory, 0o700), { syscall: "mkdir", path: directory });
  try {
    return withNamesLocked(store, () => takeName(store, id, name));
  } catch (error) {
    removeTree(directory);
    throw error;
  }
}

/** Removes what {@link claimContainer} made and all that came into the directory. What is gone already is fine. */
export function releaseContainer(store: string, id: string, name: string): void {
  removeTree(containerDirectory(store, id));
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

/** Changes a record if the container is still there. */
export function updateRecord(
  store: string,
  id: string,
  change: (record: ContainerRecord) => ContainerRecord,
): ContainerRecord | undefined {
  const record = readRecord(store, id);
  if (record === undefined) return undefined;
  const changed = change(record);
  writeRecord(store, changed);
  return changed;
}

/** A container's record; undefined where there is none yet, or no longer. */
export function readRecord(store: string, id: string): ContainerRecord | undefined {
  const text = readTextIfAny(`${containerDirectory(store, id)}/container.json`);
  return text === undefined ? undefined : parseJson(ContainerRecord, text, `container.json of ${id}`);
}

/** All containers, newest first. */
export function listRecords(store: string): ContainerRecord[] {
  const records = containerIDs(store).flatMap((id) => readRecord(store, id) ?? []);
  return records.sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : 0));
}

/**
 * The container that a person means: by name, ID or the start of an ID.
 * @throws CtrError NOT_FOUND in Docker's words; AMBIGUOUS.
 */
export function findContainer(store: string, text: string): ContainerRecord {
  const name = text.replace(/^\//, "");
  const link = NAME_PATTERN.test(name) ? readlink(`${store}/names/${name}`) : undefined;
  const id = link === undefined ? idByPrefix(store, text) : link.slice(link.lastIndexOf("/") + 1);
  const record = id === undefined ? undefined : readRecord(store, id);
  if (record === undefined) throw notFound(text);
  return record;
}

/** A container's short ID, as Docker shows it. */
export function shortID(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
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
  const fd = tryOpen(`${store}/containers`, O_RDONLY);
  if (fd < 0) return [];
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
