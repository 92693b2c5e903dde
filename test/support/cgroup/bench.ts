/**
 * The workbench of the conformance suite of cgroup drivers: containers that are nothing but cgroups with processes in
 * them, made and taken away by the driver under test. Not here: what is tested (the sections beside this file).
 */

import { test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { removeCgroups } from "../../../drivers/cgroup-common/tree.ts";
import { waitUntil } from "../../../drivers/cgroup-common/wait.ts";
import {
  type CgroupDriver,
  type CgroupJoin,
  type CgroupPart,
  createRegistry,
  type Host,
} from "../../../src/driver.ts";
import { asCtrError, type CtrError } from "../../../src/error.ts";
import { SIGKILL } from "../../../src/kernel/constants.ts";
import type { HostStep } from "../../../src/plan/step.ts";
import { actAll, closeAll, madeCgroups, removeMade } from "../../../src/runtime/act.ts";
import type { HostContext } from "../../../src/runtime/host-context.ts";
import type { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { type CounterName, readCount } from "./counters.ts";
import { type Has, lookAtHost } from "./has.ts";
import { type Inside, startInside, type Work } from "./process.ts";

/** What is run through the suite. */
export interface CgroupSubject {
  /** In the names of the tests: `v1, hybrid`. */
  readonly name: string;
  readonly driver: CgroupDriver;
  /** The real one, probed. */
  readonly host: Host;
  /** `linux.cgroupsPath` of a container by its ID, where a test does not care; left out: none, the driver's default. */
  readonly pathOf?: (id: string) => string;
  /** Whether the driver takes any path (`/a/b`, `a/b`); false for one with a form of its own. Left out: it does. */
  readonly anyPath?: boolean;
  /** pids.max of a container that asks for no limit, where the host gives it one (systemd's DefaultTasksMax=). */
  readonly usualTasks?: string;
}

/** A container's cgroup, and its init, which waits until it is let go. */
export interface Container {
  readonly part: CgroupPart;
  readonly paths: Readonly<Record<string, string>>;
  readonly init: Inside;
  /** A further process, which joins as exec does, and goes at once. */
  exec(work: Work): Inside;
  /** Exit code and output of a further process, once it has ended. */
  sh(script: string): { code: number; out: string };
  update(resources: LinuxResources): readonly string[];
  count(name: CounterName): number;
  /** A file of the cgroup: that of the v1 controller, else that of the cgroup2 tree. */
  read(controller: string, v1: string, v2?: string): string;
}

/** What the sections work with. */
export interface Bench {
  readonly subject: CgroupSubject;
  readonly driver: CgroupDriver;
  readonly has: Has;
  /** The driver takes any path. */
  readonly anyPath: boolean;
  /** pids.max of a container that asks for no limit. */
  readonly usualTasks: string;
  /** A directory for files of the tests. */
  readonly directory: string;
  /** The plan for a container that is not made. */
  plan(resources: LinuxResources | undefined, cgroupsPath?: string, on?: Host): CgroupPart;
  /** Carries out host steps without a process; what was made stays. */
  act(steps: readonly HostStep[]): void;
  /** Makes the cgroup, and puts the init into it; `work` is what that does when it is let go. */
  create(resources?: LinuxResources, options?: { work?: Work; cgroupsPath?: string }): Container;
  /** As `create`, letting the init go at once. */
  run(work: Work, resources?: LinuxResources): Container;
  /** Waits; throws after 20 s. */
  until(what: string, condition: () => boolean): void;
  /** The end of a process. */
  endOf(process: Inside): number;
  /** Done after the containers of the test are gone. */
  later(work: () => void): void;
  /** Kills and removes all that the test made, and fails where something is left. For afterEach. */
  clear(): void;
  /** For afterAll. */
  dispose(): void;
}

/** What a container and a further process have in common. */
interface Startable
  extends Pick<CgroupPart, "before" | "attach" | "join" | "cloneInto">,
    Pick<CgroupJoin, "inside"> {
  readonly atPid?: readonly HostStep[];
  readonly paths?: CgroupPart["paths"];
}

const LIMIT = 20_000;
function until(what: string, condition: () => boolean): void {
  if (!waitUntil(condition, LIMIT)) throw new Error(`did not come to it: ${what}`);
}

function endOf(process: Inside): number {
  until(`process ${process.pid} ends`, () => process.ended() !== undefined);
  return process.ended()?.code ?? -1;
}

/**
 * Registers a test where it applies to this version of cgroups, or form of path, at all; skipped where the host lacks
 * what it takes.
 */
export function where(applies: boolean, hasIt = true): (name: string, run: () => void) => void {
  return applies ? test.skipIf(!hasIt) : () => undefined;
}

/** The error that this throws: ours, with code, field, message and more. */
export function errorOf(use: () => unknown): CtrError {
  try {
    use();
  } catch (thrown) {
    return asCtrError(thrown);
  }
  throw new Error("no error was thrown");
}

/** The bench of one subject. */
export function makeBench(subject: CgroupSubject): Bench {
  const { driver, host, pathOf } = subject;
  const registry = createRegistry();
  registry.add({ kind: "cgroup", name: driver.name, load: () => driver });
  const directory = mkdtempSync("/tmp/ctr-bun-cgroups-");
  const made: CgroupPart[] = [];
  const processes: Inside[] = [];
  const later: (() => void)[] = [];
  let number = 0;

  function plan(resources: LinuxResources | undefined, cgroupsPath?: string, on = host): CgroupPart {
    const id = `suite-${process.pid}-${number++}`;
    const path = cgroupsPath ?? pathOf?.(id);
    return driver.plan({ id, cgroupsPath: path, resources, ownNamespace: true }, on);
  }

  function newContext(): HostContext {
    return {
      ...{ registry, arch: host.arch, channel: undefined, descriptors: {}, received: [], made: [], undo: [] },
      ...{ inodes: new Map(), stage0: undefined, pid: undefined, runHooks: () => undefined },
    };
  }

  /** Does the steps and starts a process, as the runtime does; takes back what was made where that fails. */
  function start(part: Startable, work: Work): Inside {
    const context = newContext();
    let inside: Inside | undefined;
    try {
      actAll(part.before, context);
      const path = `${directory}/${number++}.out`;
      const opened = new Map(Object.entries(context.descriptors));
      inside = startInside(part, opened, work, path, (stage0) => {
        context.stage0 = stage0;
        actAll(part.attach ?? [], context);
      });
      context.stage0 = undefined;
      context.pid = inside.pid;
      actAll(part.atPid ?? [], context);
      processes.push(inside);
      return inside;
    } catch (error) {
      inside?.end();
      const own = madeCgroups(part.paths ?? {}, context.made);
      if (Object.keys(own).length > 0) driver.remove(own);
      removeMade(context);
      throw error;
    } finally {
      closeAll(context);
    }
  }

  function create(
    resources?: LinuxResources,
    { work = "", cgroupsPath }: { work?: Work; cgroupsPath?: string } = {},
  ): Container {
    const part = plan(resources, cgroupsPath);
    const init = start(part, work);
    made.push(part);
    return containerOf(part, init);
  }

  function containerOf(part: CgroupPart, init: Inside): Container {
    const { paths } = part;
    const exec = (work: Work): Inside => {
      const inside = start(driver.join(paths, host, init.pid), work);
      inside.go();
      return inside;
    };
    return {
      part,
      paths,
      init,
      exec,
      sh(script) {
        const inside = exec(script);
        return { code: endOf(inside), out: inside.output() };
      },
      update: (resources) => driver.update(paths, resources),
      count: (name) => readCount(paths, name),
      read: (controller, v1, v2 = v1) =>
        readFileSync(
          paths[controller] === undefined ? `${paths.unified}/${v2}` : `${paths[controller]}/${v1}`,
          "utf8",
        ).trim(),
    };
  }

  return {
    subject,
    driver,
    directory,
    has: lookAtHost(host.cgroup),
    anyPath: subject.anyPath !== false,
    usualTasks: subject.usualTasks ?? "max",
    plan,
    act(steps) {
      const context = newContext();
      try {
        actAll(steps, context);
      } finally {
        closeAll(context);
      }
    },
    create,
    run(work, resources) {
      const container = create(resources, { work });
      container.init.go();
      return container;
    },
    until,
    endOf,
    later: (work) => void later.push(work),
    clear() {
      const left: string[] = [];
      for (const { paths } of made.splice(0).reverse()) {
        try {
          driver.killAll(paths, SIGKILL);
          driver.remove(paths);
        } catch (error) {
          left.push(String(error));
        }
        const directories = [...new Set(Object.values(paths))].filter((path) => existsSync(path));
        left.push(...directories);
        if (directories.length > 0) {
          for (const inside of processes) inside.end();
          removeCgroups(directories);
        }
      }
      for (const inside of processes.splice(0)) inside.end();
      for (const work of later.splice(0).reverse()) work();
      if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
    },
    dispose: () => rmSync(directory, { recursive: true, force: true }),
  };
}
