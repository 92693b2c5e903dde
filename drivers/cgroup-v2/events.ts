/**
 * Events on v2: whatever a file of events tells of, and `oom` for each process that was killed for memory.
 * Source: Documentation/admin-guide/cgroup-v2.rst, memory.events.
 */
import type { CgroupEvent, EventWatch } from "../../src/driver.ts";
import { watchEventFiles } from "../cgroup-common/event-files.ts";

/** `oom_kill` counts processes that an OOM killer killed in the cgroup and below it, whosever limit it was. */
export function watchEvents(directory: string): EventWatch {
  const watch = watchEventFiles(directory);
  return {
    ...watch,
    take: () => watch.take()?.flatMap((event): CgroupEvent[] => [...killsOf(event), event]),
  };
}

function killsOf({ type, data }: CgroupEvent): CgroupEvent[] {
  const kills = type === "memory.events" ? Number(data?.oom_kill ?? 0) : 0;
  return Array.from({ length: kills }, () => ({ type: "oom" }));
}
