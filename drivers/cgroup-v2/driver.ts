/**
 * The cgroup driver for hosts with a cgroup2 tree alone: what the contract of src/driver.ts asks for, put together from
 * this folder. Not here: the steps of a plan (plan.ts), any one controller's values (one file each).
 */

import type { CgroupDriver } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { SIGKILL } from "../../src/kernel/constants.ts";
import { tryWriteFile } from "../../src/kernel/file.ts";
import { identifyCgroups } from "../cgroup-common/identity.ts";
import { type Prepare, prepareCgroups } from "../cgroup-common/prepare.ts";
import { type WriteFirst, writeSetting } from "../cgroup-common/setting.ts";
import { signalAll } from "../cgroup-common/signal.ts";
import { cgroupProcesses, removeCgroups } from "../cgroup-common/tree.ts";
import {
  attachDevices,
  attachedPrograms,
  type DeviceProgram,
  detachDevices,
  programLines,
} from "./devices.ts";
import { type Enable, enableControllers } from "./enable.ts";
import { freeze, isFrozen, thaw } from "./freezer.ts";
import { joinTarget, planJoin } from "./join.ts";
import { memoryOomKills } from "./memory.ts";
import { NAME, planCgroup, UNIFIED } from "./plan.ts";
import { readStats } from "./stats.ts";

type Paths = Readonly<Record<string, string>>;

export const cgroupV2Driver: CgroupDriver = {
  kind: "cgroup",
  name: NAME,
  probe({ cgroup }) {
    if (cgroup.mode === "unified") return { ok: true };
    if (cgroup.mode === "none") {
      return { ok: false, why: "no cgroup hierarchy is mounted", hint: "mount cgroup2 on /sys/fs/cgroup" };
    }
    const why = "this host has cgroup v1 controllers, which the cgroup2 tree then lacks";
    return { ok: false, why, hint: "boot with cgroup_no_v1=all, or with systemd.unified_cgroup_hierarchy=1" };
  },
  plan: planCgroup,
  join: (paths, _host, initPid, below) =>
    planJoin(
      directoryOf(paths),
      below === undefined ? joinTarget(directoryOf(paths), initPid) : below[UNIFIED],
    ),
  act(call, args) {
    switch (call) {
      case "prepare":
        return prepareCgroups(args as Prepare, isFrozen, detachDevices);
      case "write-setting": {
        const { directory, setting } = args as WriteFirst;
        return writeSetting(directory, setting);
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
    (require("./update.ts") as typeof import("./update.ts")).updateUnified(directoryOf(paths), resources),
  freeze: (paths) => freeze(directoryOf(paths)),
  thaw: (paths) => thaw(directoryOf(paths)),
  isFrozen: (paths) => isFrozen(directoryOf(paths)),
  processes: (paths) => cgroupProcesses(directoryOf(paths)),
  killAll,
  stats: (paths) => readStats(directoryOf(paths)),
  watchEvents: (paths) =>
    (require("./events.ts") as typeof import("./events.ts")).watchEvents(directoryOf(paths)),
  devices: (paths) => attachedPrograms(directoryOf(paths)),
  identify: identifyCgroups,
  oomKills: (paths) => Number(memoryOomKills(directoryOf(paths))),
  remove: (paths) => removeCgroups([directoryOf(paths)]),
};

function directoryOf(paths: Paths): string {
  const directory = paths[UNIFIED];
  if (directory === undefined) throw fail({ code: "CGROUP", message: "the container has no cgroup" });
  return directory;
}

/**
 * The kernel's own cgroup.kill (since 5.14) is proof against forks, and reaches frozen processes. Any other signal goes
 * to a cgroup that is held still meanwhile; one that was frozen stays so.
 */
function killAll(paths: Paths, signal: number): void {
  const directory = directoryOf(paths);
  if (signal === SIGKILL && tryWriteFile(`${directory}/cgroup.kill`, "1") === 0) return;
  const list = (): number[] => cgroupProcesses(directory);
  if (list().length === 0) return;
  const wasFrozen = isFrozen(directory);
  try {
    freeze(directory);
  } catch {
    // A process that cannot be stopped (state D): the rounds reach the others.
  }
  try {
    signalAll(list, signal);
  } finally {
    if (!wasFrozen) thaw(directory);
  }
}
