/**
 * Compiled seccomp filters, kept from one start to the next: one file each, in a directory beside the state roots that
 * is nobody else's. The name is the digest of all that a filter depends on, so an entry is never out of date. What
 * cannot be read, or is not as it was written, counts as missing; what cannot be written is left. No failure here is
 * one of the container's. Not here: compiling (the seccomp driver), state of containers (state.ts).
 */
import type { DriverRegistry, Host, SeccompProgram } from "../driver.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  S_IFREG,
} from "../kernel/constants.ts";
import { namesIn, statAt, tryOpenAt, tryUnlinkAt } from "../kernel/directory.ts";
import { close, mkdirAll, readAll, tryOpen, withFd, writeAll } from "../kernel/file.ts";
import { cString } from "../kernel/memory.ts";
import { sys } from "../kernel/raw.ts";
import { BPF_MAXINSNS, SOCK_FILTER_SIZE } from "../kernel/seccomp.ts";
import { writeJson } from "../spec/json.ts";
import type { LinuxSeccomp } from "../spec/runtime/config.ts";
import { ociRoot } from "./state.ts";

/** Files that the directory may have; past that the oldest go. */
export const MOST_FILES = 64;
/** Bytes of the longest filter in base64, with room for the names that stand beside it. */
const LONGEST = 256 << 10;

/** Where the filters are: beside the OCI level's own state root, whatever --root says. */
export function cacheDirectory(): string {
  return ociRoot().replace(/[^/]+$/, "seccomp");
}

function digestOf(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

/**
 * Name of a filter's file: the digest of the profile, the host's facts that the compiler takes, and the compiler.
 * @param compiler the driver's `name` and `version`
 */
export function cacheKey(
  profile: LinuxSeccomp,
  { arch, kernelVersion }: Pick<Host, "arch" | "kernelVersion">,
  compiler: readonly [name: string, version: string],
): string {
  // Who answers has nothing to do with the filter, and metadata may be different for each container.
  const { listenerPath, listenerMetadata, ...rules } = profile;
  return digestOf(writeJson([compiler, arch, kernelVersion, rules]));
}

/** The file of a filter: a digest, which takes in the name, and a line of JSON with the filter in base64. */
export function entryOf(key: string, { filter, ...rest }: SeccompProgram): string {
  const body = JSON.stringify({ ...rest, filter: Buffer.from(filter).toString("base64") });
  return `${digestOf(`${key}\n${body}`)}\n${body}`;
}

/** The filter in a file; undefined where this is not what {@link entryOf} wrote under this name. */
export function readEntry(key: string, text: string): SeccompProgram | undefined {
  const end = text.indexOf("\n");
  const body = text.slice(end + 1);
  if (end < 0 || text.slice(0, end) !== digestOf(`${key}\n${body}`)) return undefined;
  const { filter, flags, notify, unknown } = JSON.parse(body) as Omit<SeccompProgram, "filter"> & {
    readonly filter: string;
  };
  const bytes = new Uint8Array(Buffer.from(filter, "base64"));
  const count = bytes.byteLength / SOCK_FILTER_SIZE;
  if (!Number.isInteger(count) || count < 1 || count > BPF_MAXINSNS) return undefined;
  return { filter: bytes, flags, notify, unknown };
}

/** Whether a descriptor is of a file or directory that only this user can have put there. */
function isOwn(fd: number, type?: number): boolean {
  const status = statAt(fd);
  if (status === undefined || status.uid !== sys("geteuid") || (status.mode & 0o7077) !== 0) return false;
  return type === undefined || (status.type === type && status.nlink === 1 && status.size <= LONGEST);
}

function openCache(): number | undefined {
  const fd = tryOpen(cacheDirectory(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0) return undefined;
  if (isOwn(fd)) return fd;
  close(fd);
  return undefined;
}

function find(key: string): SeccompProgram | undefined {
  const directory = openCache();
  if (directory === undefined) return undefined;
  return withFd(directory, () => {
    const fd = tryOpenAt(directory, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return undefined;
    return withFd(fd, () => {
      if (!isOwn(fd, S_IFREG)) return undefined;
      try {
        return readEntry(key, Buffer.from(readAll(fd, key, LONGEST)).toString());
      } catch {
        return undefined;
      }
    });
  });
}

/** Puts a filter's file in place, whole or not at all. */
function keep(key: string, program: SeccompProgram): void {
  const path = cacheDirectory();
  const bytes = new TextEncoder().encode(entryOf(key, program));
  if (bytes.byteLength > LONGEST) return;
  try {
    mkdirAll(path, 0o700);
  } catch {
    return;
  }
  const directory = openCache();
  if (directory === undefined) return;
  withFd(directory, () => {
    // One of its own for each writer: processes of two pid namespaces may have the same number.
    const temporary = `.${crypto.randomUUID()}`;
    const fd = tryOpenAt(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    if (fd < 0) return;
    try {
      withFd(fd, () => writeAll(fd, bytes, key));
      if (sys("renameat2", directory, cString(temporary), directory, cString(key), 0) < 0) {
        tryUnlinkAt(directory, temporary);
      }
      removeOldest(directory);
    } catch {
      tryUnlinkAt(directory, temporary);
    }
  });
}

/** Also what a writer that was killed left of its file goes this way. */
function removeOldest(directory: number): void {
  const names = namesIn(directory);
  if (names.length <= MOST_FILES) return;
  const written = names.map((name) => {
    const { seconds = 0, nanoseconds = 0 } = statAt(directory, name) ?? {};
    return { name, seconds, nanoseconds };
  });
  written.sort((a, b) => a.seconds - b.seconds || a.nanoseconds - b.nanoseconds);
  for (const { name } of written.slice(0, names.length - MOST_FILES)) tryUnlinkAt(directory, name);
}

/**
 * The filter of a profile, from the cache or newly compiled and kept. Undefined where its driver says no version of its
 * compiler: then nothing is kept, and the plan has it compiled.
 * @throws CtrError SECCOMP as the driver's `compile`
 */
export function keptProgram(
  profile: LinuxSeccomp,
  host: Host,
  registry: DriverRegistry,
): SeccompProgram | undefined {
  const driver = registry.choose("seccomp", host);
  if (driver.version === undefined) return undefined;
  const key = cacheKey(profile, host, [driver.name, driver.version]);
  const kept = find(key);
  if (kept !== undefined) return kept;
  const program = driver.compile(profile, host.arch, host.kernelVersion);
  keep(key, program);
  return program;
}
