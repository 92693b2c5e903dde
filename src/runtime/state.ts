/**
 * The state of containers on disk: ROOT/ID/state.json, written to a temporary name and renamed, and the start socket of
 * a container that is created. Nothing is synced: a state tells of processes, and is void after a crash of the host.
 * What a container is doing is read off its process, never stored.
 */
import { asCtrError, fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { O_DIRECTORY, O_RDONLY } from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import {
  listDirectory,
  mkdirAll,
  readlink,
  readTextIfAny,
  removeTree,
  replaceFile,
  statusOf,
  tryMkdir,
  tryOpen,
  withFd,
} from "../kernel/file.ts";
import { inUserNamespace } from "../kernel/namespaces.ts";
import { sys } from "../kernel/raw.ts";
import type { ResctrlGroup } from "../plan/step.ts";
import { readJson, writeJson } from "../spec/json.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import type { LateStep } from "./late-calls.ts";

/** Default state roots. */
export const OCI_ROOT = "/run/ctr-bun/oci";
export const ENGINE_ROOT = "/run/ctr-bun/engine";

/**
 * The OCI level's own: below XDG_RUNTIME_DIR for an ordinary user, and, as in runc, for root of a user namespace whose
 * USER is not root: an ordinary user's who has come there by unshare(1). A container's root has the usual one.
 */
export function ociRoot(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const { XDG_RUNTIME_DIR: own, USER } = environment;
  const uid = sys("geteuid");
  if (uid !== 0) return own ? `${own}/ctr-bun/oci` : `/run/user/${uid}/ctr-bun/oci`;
  return own && USER !== "root" && inUserNamespace() ? `${own}/ctr-bun/oci` : OCI_ROOT;
}

/** What is stored of a container. */
export interface ContainerRecord {
  readonly version: 1;
  readonly id: string;
  /** In ctr-bun's pid namespace. */
  readonly pid: number;
  /** Clock ticks after boot at which that process started (proc_pid_stat(5), field 22): tells it from a later one. */
  readonly started: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  readonly cgroupPaths: Readonly<Record<string, string>>;
  readonly cgroupDriver: string | undefined;
  /** What tells the cgroups from later ones at the same paths (driver.ts, `identify`). */
  readonly cgroupIdentity?: Readonly<Record<string, string>> | undefined;
  /** Only with linux.intelRdt. */
  readonly resctrl?: ResctrlGroup;
  readonly config: RuntimeConfig;
  /** The container stays in the caller's session keyring, and so does what is run in it. */
  readonly noNewKeyring: boolean;
  /** What its init has yet to do when it is started, of a container that was created. */
  readonly late?: readonly LateStep[];
}

export type ContainerStatus = "creating" | "created" | "running" | "paused" | "stopped";

function isID(id: string): boolean {
  return id.length >= 1 && id.length <= 1024 && /^[\w+.-]+$/.test(id) && id !== "." && id !== "..";
}

/** Refuses what is no container ID (as runc: letters, digits, `_`, `+`, `-`, `.`). */
export function checkID(id: string): void {
  if (isID(id)) return;
  throw fail({
    code: "INVALID_ID",
    message: `invalid container id ${JSON.stringify(id)}`,
    hint: "an ID has 1 to 1024 letters, digits, and any of _ + - .",
  });
}

/** Directory of a container's state. */
export function stateDirectory(root: string, id: string): string {
  checkID(id);
  return `${root}/${id}`;
}

/** Makes a new container's directory; an ID that is taken is an error. */
export function claimID(root: string, id: string): string {
  const directory = stateDirectory(root, id);
  let made = tryMkdir(directory, 0o700);
  if (made === -ERRNO.ENOENT) {
    makeRoot(root);
    made = tryMkdir(directory, 0o700);
  }
  if (made === -ERRNO.EEXIST) {
    throw fail({
      code: "ID_TAKEN",
      message: "container with given ID already exists",
      path: directory,
      hint: `delete it first, or take another ID than ${id}`,
    });
  }
  check(made, { syscall: "mkdir", path: directory });
  return directory;
}

/** An ordinary user without a directory for what runs needs to know of it: nothing else here is made for one. */
function makeRoot(root: string): void {
  try {
    // Sticky: what cleans XDG_RUNTIME_DIR up leaves it alone (XDG Base Directory Specification).
    mkdirAll(root, sys("geteuid") === 0 ? 0o700 : 0o1700);
  } catch (thrown) {
    const error = asCtrError(thrown);
    const { code, message, syscall, path, errno } = error;
    if (sys("geteuid") === 0) throw thrown;
    const hint =
      "log in, so that XDG_RUNTIME_DIR is set to a directory of your own; or give one with --root DIRECTORY";
    throw fail({ code, message, field: "--root", syscall, path, errno, hint, cause: error });
  }
}

export function writeRecord(root: string, record: ContainerRecord): void {
  const bytes = new TextEncoder().encode(writeJson(record));
  replaceFile(`${stateDirectory(root, record.id)}/state.json`, bytes, 0o600, false);
}

/** The stored record; undefined where there is none (yet). */
export function readRecord(root: string, id: string): ContainerRecord | undefined {
  const path = `${stateDirectory(root, id)}/state.json`;
  const text = readTextIfAny(path);
  if (text === undefined) return undefined;
  const value = parse(text);
  if (isRecord(value) && value.id === id) return value;
  throw fail({
    code: "DAMAGED_STATE",
    message: "not a state of this version of ctr-bun",
    path,
    hint: `\`delete --force ${id}\` takes away what is left`,
  });
}

function parse(text: string): unknown {
  try {
    return readJson(text);
  } catch {
    return undefined;
  }
}

/** Whether it has what every verb relies on. */
function isRecord(value: unknown): value is ContainerRecord {
  if (typeof value !== "object" || value === null) return false;
  const { version, pid, config, cgroupPaths } = value as Partial<ContainerRecord>;
  const objects = [config, cgroupPaths].every((each) => typeof each === "object" && each !== null);
  return version === 1 && typeof pid === "number" && pid > 0 && objects;
}

/** As {@link readRecord}; a container that is not there is an error in runc's words. */
export function needRecord(root: string, id: string): ContainerRecord {
  const record = readRecord(root, id);
  if (record === undefined) throw noContainer(root, id);
  return record;
}

/** The error for an ID without a container. */
export function noContainer(root: string, id: string) {
  return fail({
    code: "NO_CONTAINER",
    message: "container does not exist",
    path: `${root}/${id}`,
    hint: "`ctr-bun list` shows those that do",
  });
}

export function removeState(root: string, id: string): void {
  removeTree(stateDirectory(root, id));
}

/** Whether the directory is there, with a record or without (a create that was killed). */
export function stateExists(root: string, id: string): boolean {
  return statusOf(stateDirectory(root, id)) !== undefined;
}

/** IDs below a root, sorted. What is no ID is not a container's. */
export function listIDs(root: string): string[] {
  const fd = tryOpen(root, O_RDONLY | O_DIRECTORY);
  if (fd === -ERRNO.ENOENT) return [];
  check(fd, { syscall: "openat", path: root });
  return withFd(fd, (directory) => listDirectory(directory).map(({ name }) => name))
    .filter(isID)
    .sort();
}

/** Start time, state letter and parent of a process (proc_pid_stat(5)); undefined where there is none. */
export function processStat(pid: number): { started: string; state: string; parent: number } | undefined {
  const text = readTextIfAny(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name in parentheses may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1] ?? 0), started: fields[19] ?? "" };
}

/** Whether the container's process still is the one that was started, and not a zombie. */
export function isAlive(record: ContainerRecord): boolean {
  const stat = processStat(record.pid);
  return stat !== undefined && stat.started === record.started && stat.state !== "Z" && stat.state !== "X";
}

/** Path of the start socket, which exists while a container is created and not started. */
export function startSocket(root: string, id: string): string {
  return `${stateDirectory(root, id)}/s`;
}

/** `created`, `running` or `stopped`; whether it is paused only its cgroup tells. */
export function statusOfRecord(root: string, record: ContainerRecord): ContainerStatus {
  if (!isAlive(record)) return "stopped";
  return statusOf(startSocket(root, record.id)) !== undefined && isStillInit(record.pid)
    ? "created"
    : "running";
}

/**
 * Whether a process executes the init, not its program: a start that was killed in between leaves the socket behind.
 * Where that cannot be told, the socket counts.
 */
function isStillInit(pid: number): boolean {
  const executable = readlink(`/proc/${pid}/exe`);
  return executable === undefined || executable.startsWith("/memfd:init");
}
