// A daemon of an engine, as a child of the test that is ended with it, together with all that it leaves in its folder
// and in the few places that it cannot be talked out of.

import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runCommand } from "./bundle.ts";

const TOOLS = join(resolve(import.meta.dir, "../.."), "build/tools");

/** Where the packages that are only unpacked have their programs, before the host's own. */
export const TOOLS_PATH = [join(TOOLS, "usr/sbin"), join(TOOLS, "usr/bin"), process.env.PATH ?? ""].join(":");

export interface Daemon {
  readonly folder: string;
  /** What it has logged. */
  log(): string;
  end(): Promise<void>;
}

export interface DaemonOptions {
  /** Starts the daemon in this folder. */
  readonly line: (folder: string) => string[];
  /** A command that succeeds when it serves. */
  readonly serves: (folder: string) => string[];
  /** Directories outside of its folder that it makes: taken away where they were not there before, if empty. */
  readonly outside: readonly string[];
  /** Cgroups at the top of the hierarchies that it makes and leaves. */
  readonly cgroups: readonly string[];
  readonly prepare?: (folder: string) => void;
}

/** The command of a process, "" where it has gone. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** Whether a process has mounts of the folder in a namespace that is not this one. */
function isContainerOf(pid: string, folder: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync("/proc/self/ns/mnt")) return false;
    return readFileSync(`/proc/${pid}/mountinfo`, "utf8").includes(folder);
  } catch {
    return false;
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

function rmdirIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not there, or somebody else's.
  }
}

/** Directories below a path, the deepest first, and the path itself. */
function tree(path: string): string[] {
  if (!existsSync(path)) return [];
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...below.flatMap(({ name }) => tree(join(path, name))), path];
}

function topCgroups(names: readonly string[]): string[] {
  const root = "/sys/fs/cgroup";
  const hierarchies = ["", ...readdirSync(root)];
  return hierarchies.flatMap((hierarchy) => names.map((name) => join(root, hierarchy, name)));
}

export async function startDaemon(name: string, options: DaemonOptions): Promise<Daemon> {
  const folder = mkdtempSync(join(tmpdir(), `ctr-bun-${name}-`));
  // For the root of a user namespace.
  chmodSync(folder, 0o711);
  const outside = [...options.outside, ...topCgroups(options.cgroups)].filter((path) => !existsSync(path));
  options.prepare?.(folder);
  const log = join(folder, "log");
  const output = openSync(log, "w");
  const child = Bun.spawn(options.line(folder), {
    cwd: folder,
    stdin: "ignore",
    stdout: output,
    stderr: output,
    env: { PATH: TOOLS_PATH, HOME: folder, TMPDIR: folder },
  });
  closeSync(output);
  const end = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await child.exited;
    clearTimeout(late);
    // Shims outlive their daemon, and have its folder among their arguments; containers have it among their mounts.
    for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
      if (commandOf(pid).includes(folder) || isContainerOf(pid, folder)) endProcess(Number(pid));
    }
    for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n").reverse()) {
      const point = line.split(" ")[4];
      if (point?.startsWith(folder)) runCommand(["umount", "--lazy", point]);
    }
    // The kernel takes a moment to empty the cgroups of what was killed.
    for (let tries = 0; tries < 20 && outside.some(existsSync); tries++) {
      for (const path of outside.flatMap(tree)) rmdirIfEmpty(path);
      await Bun.sleep(50);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const daemon = { folder, log: () => readFileSync(log, "utf8"), end };
  const deadline = performance.now() + 60_000;
  while (runCommand(options.serves(folder), { env: { PATH: TOOLS_PATH } }).code !== 0) {
    if (performance.now() > deadline || child.exitCode !== null) {
      const said = daemon.log();
      await end();
      throw new Error(`${options.line(folder).join(" ")} does not serve: ${said}`);
    }
    await Bun.sleep(50);
  }
  return daemon;
}
