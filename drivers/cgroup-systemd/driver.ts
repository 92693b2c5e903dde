/**
 * The cgroup driver that lets systemd make a container's cgroup, as a transient scope or slice: what the contract of
 * src/driver.ts asks for. What systemd has no part in (counters, freezing, signals, events) the drivers of cgroups v1 and
 * v2 do in its directories. Loaded only when it is asked for.
 * Not here: the steps of a plan (plan.ts), what they do (act.ts).
 */
import { type CgroupDriver, type Host, type HostSystemd, isRootless } from "../../src/driver.ts";
import { asCtrError, fail } from "../../src/error.ts";
import { cgroupV1Driver } from "../cgroup-v1/driver.ts";
import { cgroupV2Driver } from "../cgroup-v2/driver.ts";
import { attachProcess, joinDirectories, setProperties, setWeights, startUnit } from "./act.ts";
import { watchKills, watchUnitEvents } from "./kills.ts";
import {
  type Attach,
  type Join,
  NAME,
  planAttach,
  planUnit,
  type SetProperties,
  type SetWeights,
  type Start,
} from "./plan.ts";
import { identifyUnit, needNoGuests, removeUnit } from "./remove.ts";
import { isUnified, updateUnit } from "./update.ts";

type Paths = Readonly<Record<string, string>>;

/** Whose processes and files the cgroups of a container are looked after by. */
function driverOf(paths: Paths): CgroupDriver {
  return isUnified(paths) ? cgroupV2Driver : cgroupV1Driver;
}

/** Asks whether there is one; that it is there and cannot be asked is an error that names what wants it. */
function systemdOf(host: Host): HostSystemd | undefined {
  try {
    return host.systemd;
  } catch (thrown) {
    const { code, message, path, hint } = asCtrError(thrown);
    throw fail({ code, field: FLAG, message, path, hint, cause: thrown });
  }
}

function needSystemd(host: Host): HostSystemd {
  const systemd = systemdOf(host);
  if (systemd !== undefined) return systemd;
  throw fail({ code: "NO_DRIVER", field: FLAG, message: NOT_RUNNING, hint: HINT });
}

const FLAG = "--systemd-cgroup";
// runc's words.
const NOT_RUNNING = "systemd not running on this host, cannot use systemd cgroups manager";
const HINT = "leave --systemd-cgroup out: cgroups are then made directly";

export const cgroupSystemdDriver: CgroupDriver = {
  kind: "cgroup",
  name: NAME,
  probe(host) {
    if (host.cgroup.mode === "none") {
      return { ok: false, why: "no cgroup hierarchy is mounted", hint: "mount cgroup2 on /sys/fs/cgroup" };
    }
    return systemdOf(host) === undefined ? { ok: false, why: NOT_RUNNING, hint: HINT } : { ok: true };
  },
  plan: (request, host) => planUnit(request, host, needSystemd(host)),
  join(paths, host, initPid, below) {
    if (isRootless(host) && isUnified(paths)) return planAttach(paths, initPid, below);
    return driverOf(paths).join(paths, host, initPid, below);
  },
  act(call, args, context) {
    switch (call) {
      case "start":
        return startUnit(args as Start, context);
      case "attach":
        return attachProcess(args as Attach, context);
      case "join":
        return joinDirectories(args as Join, context);
      case "set-properties":
        return setProperties(args as SetProperties);
      case "set-weights":
        return setWeights(args as SetWeights);
      default:
        // Of the steps that hold limits in directories: v1's driver knows those of both.
        return cgroupV1Driver.act?.(call, args, context);
    }
  },
  // Devices, of which systemd has a list beside the exact rules.
  describe: (call, args) => cgroupV2Driver.describe?.(call, args) ?? [],
  devices: (paths) => driverOf(paths).devices(paths),
  update: (paths, resources) => updateUnit(paths, resources),
  freeze: (paths) => driverOf(paths).freeze(paths),
  thaw: (paths) => driverOf(paths).thaw(paths),
  isFrozen: (paths) => driverOf(paths).isFrozen(paths),
  processes: (paths) => driverOf(paths).processes(paths),
  killAll(paths, signal) {
    needNoGuests(paths);
    driverOf(paths).killAll(paths, signal);
  },
  needNoGuests,
  stats: (paths) => driverOf(paths).stats(paths),
  watchEvents: (paths) => watchUnitEvents(driverOf(paths), paths),
  identify: identifyUnit,
  goTogether: true,
  watchKills,
  oomKills: (paths) => driverOf(paths).oomKills(paths),
  remove: (paths) => removeUnit(paths),
};
