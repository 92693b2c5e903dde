/**
 * The files of a cgroup that say what happened to it, one counter or state a line (`memory.events`, `pids.events`,
 * `cgroup.events`): the kernel tells inotify(7) when one of them changed, and what changed is told by comparing.
 * Sources: Documentation/admin-guide/cgroup-v2.rst, the files' own sections; pids.events is there on v1 too.
 */
import type { CgroupEvent, EventWatch } from "../../src/driver.ts";
import { DT_REG, O_DIRECTORY, O_RDONLY } from "../../src/kernel/constants.ts";
import { close, listDirectory, open, statusOf, withFd } from "../../src/kernel/file.ts";
import { dropEvents, watchFiles } from "../../src/kernel/notify.ts";
import { type Counter, readPairs } from "./read.ts";

/** Its lines are states, not counters. */
const STATES = "cgroup.events";

/** Watches every such file that the directory has now. */
export function watchEventFiles(directory: string): EventWatch {
  const names = withFd(open(directory, O_RDONLY | O_DIRECTORY), listDirectory)
    // The container may have made a cgroup of such a name.
    .filter(({ name, type }) => type === DT_REG && name.endsWith(".events"))
    .map(({ name }) => name)
    .sort();
  const fd = watchFiles(names.map((name) => `${directory}/${name}`));
  const seen = new Map(names.map((name) => [name, readPairs(directory, name)]));
  return {
    fds: [fd],
    take() {
      dropEvents(fd);
      if (statusOf(directory) === undefined) return undefined;
      return names.flatMap((name) => {
        const [before, now] = [seen.get(name) ?? {}, readPairs(directory, name)];
        seen.set(name, now);
        const data = changes(before, now, name === STATES);
        return Object.keys(data).length === 0 ? [] : [{ type: name, data }];
      });
    },
    close: () => close(fd),
  };
}

/** States that are others, or counters by how much they rose. One that was reset tells of nothing. */
export function changes(
  before: Readonly<Record<string, Counter>>,
  now: Readonly<Record<string, Counter>>,
  states: boolean,
): Record<string, Counter> {
  const data: Record<string, Counter> = {};
  for (const [key, value] of Object.entries(now)) {
    const old = before[key] ?? 0;
    if (states ? value !== old : value > old)
      data[key] = states ? value : Number(BigInt(value) - BigInt(old));
  }
  return data;
}

/** Several watches as one, whose end is that of any of them. */
export function joinWatches(watches: readonly EventWatch[]): EventWatch {
  return {
    fds: watches.flatMap(({ fds }) => fds),
    take() {
      const events: CgroupEvent[] = [];
      let ended = false;
      for (const watch of watches) {
        const taken = watch.take();
        if (taken === undefined) ended = true;
        else events.push(...taken);
      }
      return ended && events.length === 0 ? undefined : events;
    },
    close() {
      for (const watch of watches) watch.close();
    },
  };
}
