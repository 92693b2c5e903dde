/**
 * The v2 cpuset controller: `linux.resources.cpu.cpus` and `mems`. An empty one has those of the cgroup above it.
 * Source: Documentation/admin-guide/cgroup-v2.rst, "Cpuset".
 */
import type { Controller, Setting } from "../cgroup-common/setting.ts";

const HINTS = { EINVAL: "the list names something that this host does not have" };

export const cpuset: Controller = {
  name: "cpuset",
  settings({ cpu }) {
    const settings: Setting[] = [];
    if (cpu?.cpus) settings.push({ field: "cpu.cpus", file: "cpuset.cpus", data: cpu.cpus, hints: HINTS });
    if (cpu?.mems) settings.push({ field: "cpu.mems", file: "cpuset.mems", data: cpu.mems, hints: HINTS });
    return settings;
  },
};
