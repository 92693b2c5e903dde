/**
 * The v1 pids controller: `linux.resources.pids`. Source: Documentation/admin-guide/cgroup-v1/pids.rst.
 */
import type { Controller } from "../cgroup-common/setting.ts";

export const pids: Controller = {
  name: "pids",
  settings({ pids }) {
    const limit = pids?.limit;
    if (limit === undefined) return [];
    // Runtime-spec 1.3: any negative number is no limit, and 0 is one. The init counts, and is made from a process
    // that is already inside: before it is there, a limit of 1 would keep it from being made.
    return [{ field: "pids.limit", file: "pids.max", data: limit < 0 ? "max" : String(limit), late: true }];
  },
};
