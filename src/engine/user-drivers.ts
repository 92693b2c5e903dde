/**
 * Drivers of a user's own: TypeScript or JavaScript files, named by --driver or the configuration, that get the same
 * contract as the built-in ones and nothing else. A file that others may write would run their code as root: refused.
 * Not here: the contracts (driver.ts).
 */
import type { Driver, DriverKinds, DriverRegistry } from "../driver.ts";
import { type CtrError, fail } from "../error.ts";
import { S_IFDIR, S_IFREG } from "../kernel/constants.ts";
import { readlink, statusOf } from "../kernel/file.ts";

const KINDS: readonly (keyof DriverKinds)[] = ["cgroup", "seccomp", "namespace", "snapshotter"];
/** What a driver of each kind must be able to do, besides probe(). */
const METHODS: { readonly [K in keyof DriverKinds]: readonly (keyof DriverKinds[K] & string)[] } = {
  cgroup: [
    "plan",
    "join",
    "update",
    "freeze",
    "thaw",
    "isFrozen",
    "processes",
    "killAll",
    "stats",
    "watchEvents",
    "devices",
    "oomKills",
    "remove",
  ],
  seccomp: ["compile", "verdict", "readProfile", "defaultProfile"],
  namespace: ["plan"],
  snapshotter: ["open"],
};
const MAX_LINKS = 40;
const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Adds the drivers of `files`: they come before the built-in ones, and the first file's before the second's.
 * @throws CtrError UNSAFE_DRIVER, INVALID_DRIVER, NOT_FOUND.
 */
export async function addUserDrivers(
  registry: DriverRegistry,
  files: readonly string[],
  uid: number,
): Promise<void> {
  const drivers: Driver[] = [];
  for (const file of files) drivers.push(...(await loadDrivers(file, uid)));
  for (const driver of drivers.reverse()) {
    registry.prefer({ kind: driver.kind, name: driver.name, load: () => driver });
  }
}

/** What a file gives, checked. */
async function loadDrivers(file: string, uid: number): Promise<Driver[]> {
  const path = safeFile(file, uid);
  let given: unknown;
  try {
    given = ((await import(path)) as { default?: unknown }).default;
  } catch (cause) {
    // Bun tells several syntax errors in one.
    const first: unknown = cause instanceof AggregateError ? (cause.errors[0] ?? cause) : cause;
    const message = first instanceof Error ? first.message : String(first);
    throw invalid(path, `cannot be loaded: ${message}`, cause);
  }
  const list: unknown[] = Array.isArray(given) ? given : [given];
  return list.map((each, index) => checkDriver(each, path, list.length > 1 ? ` ${index}` : ""));
}

function checkDriver(value: unknown, path: string, which: string): Driver {
  if (typeof value !== "object" || value === null) {
    throw invalid(path, `has no driver${which} as its default export`);
  }
  const { kind, name, probe } = value as Partial<Driver>;
  const known = KINDS.find((each) => each === kind);
  if (known === undefined) {
    throw invalid(
      path,
      `has a driver${which} of kind ${JSON.stringify(kind)}; kinds are ${KINDS.join(", ")}`,
    );
  }
  if (typeof name !== "string" || !/^[a-z0-9][a-z0-9._-]*$/.test(name)) {
    throw invalid(path, `has a driver${which} whose name is not of a-z 0-9 . _ -`);
  }
  if (typeof probe !== "function") throw invalid(path, `has a driver${which} without probe()`);
  for (const method of METHODS[known]) {
    if (typeof (value as Record<string, unknown>)[method] !== "function") {
      throw invalid(path, `has a driver${which} of kind ${known} without ${method}()`);
    }
  }
  return value as Driver;
}

/**
 * The file itself, links followed. It and its folder must belong to root or the user and be writable by no one else;
 * the folders above must not let others put something else in their place.
 */
function safeFile(file: string, uid: number): string {
  const path = realPath(file);
  const status = statusOf(path);
  if (status === undefined) {
    throw fail({
      code: "NOT_FOUND",
      field: "--driver",
      message: "there is no such driver file",
      path: file,
      hint: "--driver takes the path of a TypeScript or JavaScript file",
    });
  }
  if (status.type !== S_IFREG) throw unsafe(path, "is not a regular file");
  for (let at = path, isOwn = true; ; at = parent(at), isOwn = at === parent(path)) {
    const { mode, uid: owner, type } = statusOf(at) ?? { mode: 0, uid: -1, type: 0 };
    const isSticky = type === S_IFDIR && !isOwn && (mode & STICKY) !== 0;
    if (owner !== 0 && owner !== uid) throw unsafe(at, `belongs to user ${owner}`);
    if ((mode & WRITABLE_BY_OTHERS) !== 0 && !isSticky) throw unsafe(at, "may be written by others");
    if (at === "/") return path;
  }
}

function realPath(file: string): string {
  let path = "";
  const rest = file.split("/").filter((part) => part !== "");
  for (let links = 0; rest.length > 0; ) {
    const part = rest.shift() ?? "";
    if (part === ".") continue;
    if (part === "..") {
      path = path.slice(0, path.lastIndexOf("/"));
      continue;
    }
    const target = readlink(`${path}/${part}`);
    if (target === undefined) {
      path = `${path}/${part}`;
      continue;
    }
    if (++links > MAX_LINKS) throw unsafe(file, "leads through too many links");
    if (target.startsWith("/")) path = "";
    rest.unshift(...target.split("/").filter((each) => each !== ""));
  }
  return path === "" ? "/" : path;
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function unsafe(path: string, why: string): CtrError {
  return fail({
    code: "UNSAFE_DRIVER",
    field: "--driver",
    message: `a driver is not loaded as ${path} ${why}`,
    hint: "the file and its folder must belong to root or you, and no one else may write them",
  });
}

function invalid(path: string, why: string, cause?: unknown): CtrError {
  return fail({ code: "INVALID_DRIVER", field: "--driver", message: `${path} ${why}`, cause });
}
