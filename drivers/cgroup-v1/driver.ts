/**
 * The cgroup driver for hosts with v1 controllers, also beside a cgroup2 tree (hybrid): what the contract of
 * src/driver.ts asks for, put together from this folder.
 * Not here: the steps of a plan (plan.ts), any one controller's values (one file each).
 */

import type { CgroupDriver } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { SIGKILL } from "../../src/kernel/constants.ts";
import { tryWriteFile } from "../../src/kernel/file.ts";
import { identifyCgroups } from "../cgroup-common/identity.ts";
import { prepareCgroups } from "../cgroup-common/prepare.ts";
import { type WriteFirst, writeSetting } from "../cgroup-common/setting.ts";
import { signalAll, signalOnce } from "../cgroup-common/signal.ts";
import { cgroupProcesses, removeCgroups } from "../cgroup-common/tree.ts";
import {
  attachDevices,
  attachedPrograms,
  type DeviceProgram,
  detachDevices,
  programLines,
} from "../cgroup-v2/devices.ts";
import { type Enable, enableControllers } from "../cgroup-v2/enable.ts";
import * as freezer2 from "../cgroup-v2/freezer.ts";
import { joinTarget } from "../cgroup-v2/join.ts";
import { memoryOomKills as oomKills2 } from "../cgroup-v2/memory.ts";
import { inheritCpuset } from "./cpuset.ts";
import { allowAllDevices, type DeviceLines, deviceList, writeDeviceLines } from "./devices.ts";
import * as freezer1 from "./freezer.ts";
import { planJoin, UNIFIED } from "./join.ts";
import { memoryOomKills } from "./memory.ts";
import { type LegacyPrepare, NAME, planCgroup } from "./plan.ts";
import { readStats } from "./stats.ts";

type Paths = Readonly<Record<string, string>>;

export const cgroupV1Driver: CgroupDriver = {
  kind: "cgroup",
  name: NAME,
  probe({ cgroup }) {
    if (cgroup.mode === "legacy" || cgroup.mode === "hybrid") return { ok: true };
    if (cgroup.mode === "unified")
      return { ok: false, why: "no cgroup v1 controller is mounted on this host" };
    return { ok: false, why: "no cgroup hierarchy is mounted", hint: "mount cgroup2 on /sys/fs/cgroup" };
  },
  plan: planCgroup,
  join(paths, _host, initPid, below) {
    const unified = paths[UNIFIED];
    const target = below !== undefined || unified === undefined ? undefined : joinTarget(unified, initPid);
    return planJoin(paths, below ?? (target === undefined ? {} : { [UNIFIED]: target }));
  },
  act(call, args) {
    switch (call) {
      case "prepare":
        return prepareCgroups(
          args as LegacyPrepare,
          (path) => freezer1.standsStill(path) || freezer2.isFrozen(path),
          (path) => (path === (args as LegacyPrepare).unified ? detachDevices(path) : allowAllDevices(path)),
        );
      case "cpuset-inherit": {
        const { levels, home } = args as { levels: readonly string[]; home: boolean };
        return inheritCpuset(levels, home);
      }
      case "write-setting": {
        const { directory, setting } = args as WriteFirst;
        return writeSetting(directory, setting);
      }
      case "devices": {
        const { directory, lines } = args as { directory: string; lines: DeviceLines };
        return writeDeviceLines(directory, lines);
      }
      case "enable-controllers":
        return enableControllers(args as Enable);
      case "device-program":
        return attachDevices(args as DeviceProgram);
      default:
        throw fail({ code: "INTERNAL", message: `the cgroup driver ${NAME} does not know how to ${call}` });
    }
  },
  describe: (call, args) => (call === "device-program" ? programLines(args as DeviceProgram) : []),
  update: (paths, resources) =>
    (require("./update.ts") as typeof import("./update.ts")).updateLegacy(paths, resources),
  freeze: (paths) => freezerOf(paths).freeze(),
  thaw: (paths) => freezerOf(paths).thaw(),
  // Where nothing can freeze it, nothing did.
  isFrozen: (paths) =>
    (paths.freezer !== undefined || paths[UNIFIED] !== undefined) && freezerOf(paths).isFrozen(),
  processes: (paths) => cgroupProcesses(mainPath(paths)),
  killAll,
  stats: readStats,
  watchEvents: (paths) => (require("./events.ts") as typeof import("./events.ts")).watchEvents(paths),
  devices({ devices, unified }) {
    const lists = devices === undefined ? [] : deviceList(devices);
    return [...lists, ...(unified === undefined ? [] : attachedPrograms(unified))];
  },
  identify: identifyCgroups,
  oomKills: ({ memory, unified }) =>
    Number(memory !== undefined ? memoryOomKills(memory) : unified === undefined ? 0 : oomKills2(unified)),
  remove: (paths) => removeCgroups([...new Set(Object.values(paths))]),
};

/** Where the processes are looked for: they are in the same place in every hierarchy. */
function mainPath(paths: Paths): string {
  const path = paths.freezer ?? paths.pids ?? paths.devices ?? paths[UNIFIED] ?? Object.values(paths)[0];
  if (path === undefined) throw fail({ code: "CGROUP", message: "the container has no cgroup" });
  return path;
}

function freezerOf(paths: Paths): { freeze(): void; thaw(): void; isFrozen(): boolean } {
  const [directory, unified] = [paths.freezer, paths[UNIFIED]];
  const [path, freezer] = directory === undefined ? [unified, freezer2] : [directory, freezer1];
  if (path === undefined) {
    throw fail({
      code: "CGROUP",
      message: "the cgroup controller freezer is not mounted on this host, so the container cannot be paused",
      hint: "mount it with: mount -t cgroup -o freezer cgroup DIRECTORY",
    });
  }
  return {
    freeze: () => freezer.freeze(path),
    thaw: () => freezer.thaw(path),
    isFrozen: () => freezer.isFrozen(path),
  };
}

/**
 * The kernel's own cgroup.kill is proof against forks, and so is a frozen cgroup. Without either, rounds. A process
 * that is frozen dies only when it is thawed, so a kill thaws; any other signal leaves a frozen cgroup frozen.
 */
function killAll(paths: Paths, signal: number): void {
  const list = (): number[] => cgroupProcesses(mainPath(paths));
  const unified = paths[UNIFIED];
  const freezes = paths.freezer !== undefined || unified !== undefined;
  if (signal === SIGKILL && unified !== undefined && tryWriteFile(`${unified}/cgroup.kill`, "1") === 0) {
    // A process may have been moved out of the unified tree alone.
    signalOnce(list, signal);
    letDie(paths);
    return;
  }
  if (list().length === 0) return;
  if (!freezes) {
    signalAll(list, signal);
    return;
  }
  const freezer = freezerOf(paths);
  const wasFrozen = freezer.isFrozen();
  try {
    freezer.freeze();
  } catch {
    // A process that cannot be stopped (state D): the rounds reach the others.
  }
  try {
    signalAll(list, signal);
  } finally {
    if (signal === SIGKILL) letDie(paths);
    else if (!wasFrozen) freezer.thaw();
  }
}

/** On v1 a frozen process dies only once it is thawed, and the container may have frozen some by itself. */
function letDie(paths: Paths): void {
  if (paths.freezer !== undefined) freezer1.thawTree(paths.freezer);
  else if (freezerOf(paths).isFrozen()) freezerOf(paths).thaw();
}
