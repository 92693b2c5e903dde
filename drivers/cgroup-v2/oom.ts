/**
 * Out-of-memory events on v2: the kernel says when a file of events changed, and the file how many there were.
 * Source: Documentation/admin-guide/cgroup-v2.rst, memory.events.
 */
import type { OomWatch } from "../../src/driver.ts";
import { close, statusOf } from "../../src/kernel/file.ts";
import { dropEvents, watchFiles } from "../../src/kernel/notify.ts";
import { memoryOomKills } from "./memory.ts";

/** Undefined where the memory controller is not enabled. Counts processes that were killed from now on. */
export function watchOom(directory: string): OomWatch | undefined {
  const events = `${directory}/memory.events`;
  if (statusOf(events) === undefined) return undefined;
  const fd = watchFiles([events]);
  let seen = Number(memoryOomKills(directory));
  return {
    fd,
    take() {
      dropEvents(fd);
      if (statusOf(events) === undefined) return undefined;
      const before = seen;
      seen = Number(memoryOomKills(directory));
      return Math.max(seen - before, 0);
    },
    close: () => close(fd),
  };
}
