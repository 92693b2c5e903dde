/**
 * Who makes the cgroups of containers on this host, and what runtime/ is told of it.
 * Not here: the flags and settings that choose (config/cgroup-flags.ts).
 */
import { fail } from "../error.ts";
import type { ContainerRequest } from "../runtime/prepare.ts";
import type { CgroupManager } from "./config/cgroup-flags.ts";
import type { Engine } from "./engine.ts";

/** The one that settings name, or else the default. */
export function cgroupManager({ settings }: Pick<Engine, "settings">): CgroupManager {
  return settings.cgroupManager ?? "cgroupfs";
}

/** Refuses one that cannot make a cgroup here. */
export function checkCgroupManager(manager: CgroupManager): void {
  if (manager !== "systemd") return;
  throw fail({
    code: "UNSUPPORTED",
    field: "--cgroup-manager",
    message: "cgroups are not made by systemd yet",
    hint: "cgroupfs and disabled are supported",
  });
}

/** What a request for a container says of its cgroup. */
export function cgroupRequest(manager: CgroupManager | undefined): Pick<ContainerRequest, "noCgroup"> {
  return manager === "disabled" ? { noCgroup: true } : {};
}
