// What a test may leave behind on the host: cgroups, mounts, network namespaces, processes. Reads the kernel's
// files and compares two moments; it ends processes of a test run, and removes nothing.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** One moment of the host: for each kind of thing, its identities with a description that a person can use. */
export type Moment = Record<"cgroup" | "mount" | "network namespace" | "process", Map<string, string>>;

/** Environment variable that marks every process that a test run started, at any remove. */
export const marker = "CTR_BUN_TEST_RUN";

/** The text of a file of the kernel's, or "" where it has gone meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function folders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch {
    return [];
  }
}

/** Fields of proc_pid_mountinfo(5): mount ID, root, mount point, and the type behind the separator. */
function mounts(): { id: string; root: string; point: string; type: string }[] {
  return read("/proc/self/mountinfo")
    .split("\n")
    .flatMap((line) => {
      const fields = line.split(" ");
      const [id, , , root, point] = fields;
      const type = fields[fields.indexOf("-") + 1];
      return id && root && point && type ? [{ id, root, point, type }] : [];
    });
}

/** The cgroups that this process is in, as paths below any hierarchy's root; "/" is left out. */
function ownCgroups(): Set<string> {
  const paths = read("/proc/self/cgroup")
    .split("\n")
    .map((line) => line.split(":").slice(2).join(":"));
  return new Set(paths.filter((path) => path.length > 1));
}

/**
 * All cgroups but those that other managers make and remove in trees of their own: what lies below a cgroup at the
 * top of a hierarchy is counted where it is ctr-bun's, or below this process's own cgroup.
 */
function cgroups(found: Map<string, string>): void {
  const own = ownCgroups();
  const walk = (point: string, path: string, counted: boolean): void => {
    for (const name of folders(join(point, path))) {
      const below = join(path, name);
      const top = path === "/";
      const ours = counted || own.has(path) || below.includes("ctr-bun");
      // The parent that all containers share stays, as Docker's does; what is below it must not. An ordinary user's, and
      // that of root in a user namespace, is in the cgroup where they are.
      const home = (top || own.has(path)) && name === "ctr-bun";
      if ((top || ours) && !home) found.set(join(point, below), join(point, below));
      if (!top || ours || [...own].some((mine) => mine.startsWith(`${below}/`) || mine === below)) {
        walk(point, below, ours);
      }
    }
  };
  for (const mount of mounts()) if (/^cgroup2?$/.test(mount.type)) walk(mount.point, "/", false);
}

/** Field 22 of proc_pid_stat(5), so that a number used again is not taken for the same process. */
function startTime(pid: string): string {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

const others = (): string[] =>
  folders("/proc").filter((pid) => /^\d+$/.test(pid) && pid !== `${process.pid}`);

const isMarked = (pid: string, run: string): boolean =>
  read(`/proc/${pid}/environ`).split("\0").includes(`${marker}=${run}`);

function processes(run: string, moment: Moment): void {
  const ownPids = link("/proc/self/ns/pid");
  for (const pid of others()) {
    const net = link(`/proc/${pid}/ns/net`);
    if (net !== "") moment["network namespace"].set(net, `${net} of process ${pid}`);
    const name = read(`/proc/${pid}/comm`).trim();
    const executable = link(`/proc/${pid}/exe`);
    const pids = link(`/proc/${pid}/ns/pid`);
    const ours =
      name.startsWith("ctr-bun") ||
      /\/ctr-bun( \(deleted\))?$/.test(executable) ||
      (pids !== "" && pids !== ownPids) ||
      isMarked(pid, run);
    // One that has ended (Z) is its parent's to wait for: where that is a test's too, the parent is told of.
    if (!ours || / \(.*\) Z /s.test(read(`/proc/${pid}/stat`))) continue;
    const line = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
    moment.process.set(`${pid} ${startTime(pid)}`, `process ${pid} (${line || name})`);
  }
}

/** Looks at the host. `run` is the value of the marker; processes that carry it are counted, whoever adopted them. */
export function look(run: string): Moment {
  const moment: Moment = {
    cgroup: new Map(),
    mount: new Map(),
    "network namespace": new Map(),
    process: new Map(),
  };
  cgroups(moment.cgroup);
  for (const { id, root, point, type } of mounts()) {
    moment.mount.set(`${id} ${point}`, `mount ${point} (${type})`);
    if (type === "nsfs" && root.startsWith("net:"))
      moment["network namespace"].set(root, `${root} at ${point}`);
  }
  processes(run, moment);
  return moment;
}

/** What is there now and was not there then. */
function since(then: Moment, run: string): string[] {
  const now = look(run);
  const kinds = ["cgroup", "mount", "network namespace", "process"] as const;
  return kinds.flatMap((kind) =>
    [...now[kind]].flatMap(([key, text]) => (then[kind].has(key) ? [] : [text])),
  );
}

/** What `then` did not have, after up to `patience` milliseconds in which the kernel may finish removing it. */
export async function leftBehind(then: Moment, run: string, patience = 3000): Promise<string[]> {
  const end = performance.now() + patience;
  let left = since(then, run);
  while (left.length > 0 && performance.now() < end) {
    await Bun.sleep(100);
    left = since(then, run);
  }
  return left;
}

/** Ends the processes that carry the mark of this run, so that a test that forgot one leaves nothing running. */
export function endMarked(run: string): void {
  for (const pid of others()) {
    try {
      if (isMarked(pid, run)) process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}
