/**
 * Enabling controllers for a cgroup, which is done in every cgroup above it.
 * Source: Documentation/admin-guide/cgroup-v2.rst, "Controlling Controllers", "Threads".
 */
import { type CtrError, fail } from "../../src/error.ts";
import { ERRNO, errnoName } from "../../src/kernel/errno.ts";
import { readText, readTextIfAny, tryWriteFile } from "../../src/kernel/file.ts";

/** A controller that is really needed, and the first field and file that need it. */
export interface Wanted {
  readonly controller: string;
  readonly field: string;
  readonly file: string;
}

/** Arguments of the action `enable-controllers`. */
export interface Enable {
  readonly mountPoint: string;
  /** The container's cgroup, which is there already. */
  readonly directory: string;
  readonly all: boolean;
  readonly wanted: readonly Wanted[];
}

/** Controllers that a cgroup of threads can have (cgroup-v2.rst, "Threads"). */
const THREADED = new Set(["cpu", "cpuset", "perf_event", "pids"]);
const SUBTREE = "cgroup.subtree_control";

/** Enables what there is; throws where a wanted controller does not arrive in the container's cgroup. */
export function enableControllers({ mountPoint, directory, all, wanted }: Enable): void {
  const names = wanted.map((one) => one.controller);
  const refusals = new Map<string, Refusal>();
  settleType(directory, wanted);
  for (const level of levelsAbove(mountPoint, directory)) {
    const available = wordsOf(readText(`${level}/cgroup.controllers`));
    const enabled = new Set(wordsOf(readText(`${level}/${SUBTREE}`)));
    const missing = (all ? available : names).filter(
      (name) => available.includes(name) && !enabled.has(name),
    );
    enable(level, missing, names, refusals);
  }
  const arrived = wanted.length === 0 ? [] : wordsOf(readText(`${directory}/cgroup.controllers`));
  for (const one of wanted) {
    if (!arrived.includes(one.controller)) throw notArrived(one, mountPoint, refusals);
  }
  // A cgroup above that holds processes becomes the root of a threaded tree when its children get controllers.
  settleType(directory, wanted);
}

interface Refusal {
  readonly level: string;
  readonly errno: number;
}

/**
 * All in one write; where the kernel refuses that, what can be had of it one by one, those that are wanted first. A
 * cgroup that holds processes (EBUSY) can only have controllers of threads for its children, and is changed by it: there
 * only the wanted ones are enabled.
 */
function enable(
  level: string,
  names: readonly string[],
  wanted: readonly string[],
  refusals: Map<string, Refusal>,
): void {
  const path = `${level}/${SUBTREE}`;
  if (names.length === 0) return;
  const result = tryWriteFile(path, names.map((name) => `+${name}`).join(" "));
  if (result === 0) return;
  const first = names.filter((name) => wanted.includes(name));
  // Domain controllers before those of threads: in the other order their refusal would have another reason.
  first.sort((a, b) => Number(THREADED.has(a)) - Number(THREADED.has(b)));
  const rest = result === -ERRNO.EBUSY ? [] : names.filter((name) => !wanted.includes(name));
  for (const name of [...first, ...rest]) {
    const one = tryWriteFile(path, `+${name}`);
    if (one === 0) continue;
    if (!refusals.has(name)) refusals.set(name, { level, errno: -one });
    if (wanted.includes(name)) return;
  }
}

/** The mount point and every directory below it that is above the container's. */
export function levelsAbove(mountPoint: string, directory: string): string[] {
  const levels = [mountPoint];
  const end = directory.lastIndexOf("/");
  for (
    let at = directory.indexOf("/", mountPoint.length + 1);
    at > 0 && at <= end;
    at = directory.indexOf("/", at + 1)
  ) {
    levels.push(directory.slice(0, at));
  }
  return levels;
}

function wordsOf(text: string): string[] {
  return text.trim().split(" ").filter(Boolean);
}

/**
 * Below a cgroup that was made threaded, a new one is "domain invalid" until it is threaded too; and then it can have
 * some controllers only.
 */
function settleType(directory: string, wanted: readonly Wanted[]): void {
  const path = `${directory}/cgroup.type`;
  const type = (readTextIfAny(path) ?? "domain").trim();
  if (type === "domain") return;
  const domain = wanted.find(({ controller }) => !THREADED.has(controller));
  if (domain !== undefined) {
    throw fail({
      code: "CGROUP",
      field: domain.field,
      message: `cannot set ${domain.file}: the cgroup is of type "${type}", which cannot have the controller ${domain.controller}`,
      path: directory,
      hint: "choose a cgroupsPath that is not below a threaded cgroup",
    });
  }
  if (type === "domain invalid") tryWriteFile(path, "threaded");
}

function notArrived(one: Wanted, mountPoint: string, refusals: ReadonlyMap<string, Refusal>): CtrError {
  const { controller, field, file } = one;
  const refusal = refusals.get(controller);
  const path = `${refusal?.level ?? mountPoint}/${refusal === undefined ? "cgroup.controllers" : SUBTREE}`;
  const errno = refusal === undefined ? undefined : errnoName(refusal.errno);
  const [why, hint] = reason(errno, controller, refusal?.level ?? mountPoint);
  return fail({ code: "CGROUP", field, message: `cannot set ${file}: ${why}`, path, errno, hint });
}

function reason(errno: string | undefined, controller: string, level: string): [why: string, hint: string] {
  if (errno === undefined) {
    return [
      `the cgroup2 tree does not have the controller ${controller}`,
      "it is not built into the kernel, is switched off (cgroup_disable=), is mounted as cgroup v1, or was not delegated",
    ];
  }
  if (errno === "EBUSY") {
    return [
      `${level} holds processes itself, so it cannot have the controller ${controller} for those below it`,
      "move those processes into a cgroup below it, or choose an absolute cgroupsPath elsewhere",
    ];
  }
  if (errno === "EOPNOTSUPP") {
    return [
      `${level} is threaded, or holds processes, so it cannot have the controller ${controller} for those below it`,
      "choose an absolute cgroupsPath elsewhere",
    ];
  }
  if (errno === "EACCES" || errno === "EPERM" || errno === "EROFS") {
    return [
      `the controller ${controller} may not be enabled in ${level}`,
      "it was not delegated to this user: where that has a systemd of its own, root adds it to Delegate= of user@.service (systemctl edit user@.service), which takes effect with the next login",
    ];
  }
  if (errno === "EINVAL" && controller === "cpu") {
    return [
      `the controller cpu could not be enabled in ${level}`,
      "realtime processes are below it: they must be moved to the root of the tree first",
    ];
  }
  return [`the controller ${controller} could not be enabled in ${level}`, `the kernel said ${errno}`];
}
