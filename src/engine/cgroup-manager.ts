/**
 * Who makes the cgroups of containers on this host, and what runtime/ is told of it.
 * Not here: the flags and settings that choose (config/cgroup-flags.ts).
 */
import type { Host } from "../driver.ts";
import { asCtrError, fail } from "../error.ts";
import type { ContainerRequest } from "../runtime/prepare.ts";
import type { CgroupManager } from "./config/cgroup-flags.ts";
import type { Engine } from "./engine.ts";

/**
 * The one that settings name, or else Docker's choice: systemd where it runs and cgroup v2 is all there is, ctr-bun
 * itself on every other host.
 */
export function cgroupManager(engine: Pick<Engine, "settings" | "host" | "warn">): CgroupManager {
  const { settings, host } = engine;
  if (settings.cgroupManager !== undefined) return settings.cgroupManager;
  if (host.cgroup.mode !== "unified") return "cgroupfs";
  try {
    return host.systemd === undefined ? "cgroupfs" : "systemd";
  } catch (error) {
    const { message } = asCtrError(error);
    engine.warn(`ctr-bun makes the cgroup by itself: ${message}; --cgroup-manager cgroupfs says so`);
    return "cgroupfs";
  }
}

/** Refuses one that cannot make a cgroup here. */
export function checkCgroupManager(manager: CgroupManager, host: Host): void {
  if (manager !== "systemd" || host.systemd !== undefined) return;
  throw fail({
    code: "NO_DRIVER",
    field: "--cgroup-manager",
    message: "systemd does not run on this host, so it makes no cgroups",
    hint: "let ctr-bun make them: --cgroup-manager cgroupfs",
  });
}

/** What a request for a container says of its cgroup. */
export function cgroupRequest(
  manager: CgroupManager | undefined,
): Pick<ContainerRequest, "noCgroup" | "cgroupDriver"> {
  if (manager === "disabled") return { noCgroup: true };
  return manager === "systemd" ? { cgroupDriver: "systemd" } : {};
}
