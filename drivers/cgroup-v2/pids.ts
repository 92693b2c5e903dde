/**
 * The v2 pids controller: `linux.resources.pids`. Source: Documentation/admin-guide/cgroup-v2.rst, "PID".
 */
import type { Controller } from "../cgroup-common/setting.ts";

export const pids: Controller = {
  name: "pids",
  settings({ pids }) {
    const limit = pids?.limit;
    if (limit === undefined) return [];
    // Runtime-spec 1.3: any negative number is no limit, and 0 is one. The init is made inside (CLONE_INTO_CGROUP) and
    // counts: a limit of 0 would keep it from being made, and is written when it is there.
    const setting = { field: "pids.limit", file: "pids.max", data: limit < 0 ? "max" : String(limit) };
    return [limit === 0 ? { ...setting, late: true } : setting];
  },
};
