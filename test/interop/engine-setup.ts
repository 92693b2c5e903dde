// What the engine's tests share: a registry with busybox in it, a store of their own, dist/ctr-bun as a person calls
// it, and a count of everything that a container could leave behind.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { imagePath } from "../support/images.ts";
import { type Registry, startRegistry } from "../support/registry.ts";

export const executable = resolve(import.meta.dir, "../../dist/ctr-bun");

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly input?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

/** A registry and a store. */
export interface World {
  readonly registry: Registry;
  /** busybox with a command only. */
  readonly plain: string;
  /** busybox with an entry point, a volume, a working directory, a stop signal, a label. */
  readonly full: string;
  readonly store: string;
  /** A directory for what a test makes. */
  readonly scratch: string;
  start(...args: string[]): Bun.Subprocess<"pipe", "pipe", "pipe">;
  ctr(...args: string[]): Promise<Result>;
  call(args: readonly string[], options?: CallOptions): Promise<Result>;
  /** `run --rm FLAGS plain sh -c SCRIPT`. */
  sh(flags: readonly string[], script: string): Promise<Result>;
  leftovers(): Leftovers;
  end(): Promise<void>;
}

/** Everything of this store that is there now. */
export interface Leftovers {
  readonly mounts: string[];
  readonly cgroups: string[];
  readonly processes: string[];
  readonly directories: string[];
  readonly states: string[];
}

export async function newWorld(): Promise<World> {
  const registry = await startRegistry();
  const plain = registry.push(imagePath("busybox"), "plain", "busybox:plain");
  const full = registry.push(imagePath("busybox"), "1", "busybox:1");
  const base = mkdtempSync(join(tmpdir(), "ctr-bun-engine-"));
  const store = join(base, "store");
  const scratch = mkdtempSync(join(base, "scratch-"));
  const start = (args: readonly string[], options: CallOptions = {}) =>
    Bun.spawn([executable, "--store", store, ...args], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      cwd: options.cwd ?? scratch,
      env: { PATH: process.env.PATH ?? "", HOME: "/root", ...options.env },
    });
  const call = async (args: readonly string[], options: CallOptions = {}): Promise<Result> => {
    const child = start(args, options);
    if (options.input !== undefined) child.stdin.write(options.input);
    await child.stdin.end();
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  };
  return {
    registry,
    plain,
    full,
    store,
    scratch,
    start: (...args) => start(args),
    ctr: (...args) => call(args),
    call,
    sh: (flags, script) => call(["run", "--rm", "--quiet", ...flags, plain, "sh", "-c", script]),
    leftovers: () => leftovers(store),
    async end() {
      await registry.stop();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

function leftovers(store: string): Leftovers {
  return {
    mounts: readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(store)),
    cgroups: cgroupsOf("/sys/fs/cgroup", 0),
    processes: processesOf(store),
    directories: ["containers", "names"].flatMap((part) =>
      namesIn(join(store, part))
        .filter((name) => name !== ".lock")
        .map((name) => `${part}/${name}`),
    ),
    states: namesIn("/run/ctr-bun/engine").filter((name) =>
      mentions(join("/run/ctr-bun/engine", name, "state.json"), store),
    ),
  };
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function mentions(file: string, text: string): boolean {
  try {
    return readFileSync(file, "utf8").includes(text);
  } catch {
    return false;
  }
}

/** Cgroups with the name of an engine container: 64 hex digits. */
function cgroupsOf(directory: string, depth: number): string[] {
  if (depth > 6) return [];
  let entries: { name: string; isDirectory(): boolean }[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      return /[0-9a-f]{64}/.test(entry.name) ? [path] : cgroupsOf(path, depth + 1);
    });
}

/** Processes that have a file system of this store among their mounts. */
function processesOf(store: string): string[] {
  return namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => mentions(`/proc/${pid}/mountinfo`, store));
}
