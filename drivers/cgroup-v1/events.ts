/**
 * Events on v1: the memory controller adds to an eventfd(2) when the cgroup is out of memory, and under pressure; the
 * pids controller has a file of events, and the cgroup2 tree of a hybrid host has others.
 * Source: Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control", "Memory Pressure".
 */
import type { CgroupEvent, EventWatch } from "../../src/driver.ts";
import { O_RDONLY } from "../../src/kernel/constants.ts";
import { close, open, statusOf, withFd, writeFile } from "../../src/kernel/file.ts";
import { makeEventfd, takeCount } from "../../src/kernel/notify.ts";
import { joinWatches, watchEventFiles } from "../cgroup-common/event-files.ts";
import { watchEvents as watchUnified } from "../cgroup-v2/events.ts";

/** Whoever listens at one of them is told of those behind it too. */
const LEVELS = ["low", "medium", "critical"] as const;
const PRESSURE = "memory.pressure_level";

/** Of the container's directories those that tell of anything. */
export function watchEvents({ memory, pids, unified }: Readonly<Record<string, string>>): EventWatch {
  const watches: EventWatch[] = [];
  try {
    if (memory !== undefined) watches.push(watchMemory(memory));
    if (pids !== undefined) watches.push(watchEventFiles(pids));
    if (unified !== undefined) watches.push(watchUnified(unified));
    return joinWatches(watches);
  } catch (error) {
    for (const watch of watches) watch.close();
    throw error;
  }
}

function watchMemory(directory: string): EventWatch {
  const control = `${directory}/cgroup.event_control`;
  const fds: number[] = [];
  const listen = (file: string, level: string): void => {
    const fd = makeEventfd();
    fds.push(fd);
    // The kernel takes hold of the file itself: it may be closed then.
    withFd(open(`${directory}/${file}`, O_RDONLY), (told) => writeFile(control, `${fd} ${told}${level}`));
  };
  const closeAll = (): void => fds.forEach(close);
  try {
    listen("memory.oom_control", "");
    if (statusOf(`${directory}/${PRESSURE}`) !== undefined) {
      for (const level of LEVELS) listen(PRESSURE, ` ${level}`);
    }
  } catch (error) {
    closeAll();
    throw error;
  }
  return {
    fds,
    take() {
      const [oom = 0, ...pressure] = fds.map(takeCount);
      // Removing the cgroup adds to each of them, too.
      if (statusOf(control) === undefined) return undefined;
      return [...Array.from({ length: oom }, () => ({ type: "oom" })), ...pressureEvents(pressure)];
    },
    close: closeAll,
  };
}

/** How often each level was reached, and no higher one. */
function pressureEvents(counts: readonly number[]): CgroupEvent[] {
  const data: Record<string, number> = {};
  LEVELS.forEach((level, index) => {
    const alone = (counts[index] ?? 0) - (counts[index + 1] ?? 0);
    if (alone > 0) data[level] = alone;
  });
  return Object.keys(data).length === 0 ? [] : [{ type: PRESSURE, data }];
}
