/**
 * The v1 controllers net_cls and net_prio: `linux.resources.network`. v2 has neither.
 * Source: Documentation/admin-guide/cgroup-v1/net_cls.rst, net_prio.rst.
 */
import type { Controller } from "../cgroup-common/setting.ts";

export const netCls: Controller = {
  name: "net_cls",
  settings({ network }) {
    if (!network?.classID) return [];
    return [{ field: "network.classID", file: "net_cls.classid", data: String(network.classID) }];
  },
};

export const netPrio: Controller = {
  name: "net_prio",
  settings({ network }) {
    return (network?.priorities ?? []).map(({ name, priority }, index) => ({
      field: `network.priorities[${index}]`,
      file: "net_prio.ifpriomap",
      data: `${name} ${priority}`,
      hints: { ENODEV: `there is no network interface ${name} in the runtime's network namespace` },
    }));
  },
};
