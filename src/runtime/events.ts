/**
 * OCI events: what a container uses, every so often, and when it runs out of memory, in runc's shape (types/events.go of
 * opencontainers/runc); and what else its cgroup tells of, under types of our own, which readers of runc's pass over.
 * Not here: where counters and events come from (cgroup drivers).
 */
import type { CgroupDriver, CgroupEvent, CgroupStats, DriverRegistry, EventWatch } from "../driver.ts";
import { fail } from "../error.ts";
import { POLLIN } from "../kernel/constants.ts";
import { close } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { tryPidfd } from "../kernel/process.ts";
import { type ContainerRecord, needRecord, statusOfRecord } from "./state.ts";
import { cgroupDriverOf } from "./status.ts";

const UNCOUNTED = "nothing is counted";

/**
 * Milliseconds without a look after a look: a container that is always at its limit meets it hundreds of times a second,
 * and what comes meanwhile is told together.
 */
const PAUSE = 100;

/** `stats` has the counters; for the others see CgroupEvent (driver.ts). */
export interface ContainerEvent {
  readonly type: string;
  readonly id: string;
  readonly data?: CgroupStats;
}

/** The counters of a container that is created, running or paused, now. */
export function containerStats(root: string, id: string, registry: DriverRegistry): ContainerEvent {
  const record = needUsing(root, id);
  return stats(record, cgroupDriverOf(record, registry, UNCOUNTED));
}

export interface EventsRequest {
  readonly root: string;
  readonly id: string;
  /** Milliseconds between two counts. */
  readonly interval: number;
  readonly registry: DriverRegistry;
  /** A descriptor whose reader is told: when that has gone, nobody listens any more. */
  readonly listener: number;
  onEvent(event: ContainerEvent): void;
}

/** Tells of a container until it ends or nobody listens. Blocks the thread. */
export function watchContainer(request: EventsRequest): void {
  const { root, id, registry, interval, listener, onEvent } = request;
  const record = needUsing(root, id);
  const driver = cgroupDriverOf(record, registry, UNCOUNTED);
  // Held first and looked at then: whatever has its number later is not waited for.
  const init = tryPidfd(record.pid);
  let watch: EventWatch | undefined;
  try {
    if (init < 0 || statusOfRecord(root, record) === "stopped") throw notRunning(id);
    watch = driver.watchEvents(record.cgroupPaths);
    const tell = (events: readonly CgroupEvent[] = []): void => {
      for (const { type, data } of events) {
        if (!isTheEnd(data)) onEvent({ type, id, ...(data === undefined ? {} : { data }) });
      }
    };
    const watched = watch.fds.map((fd) => ({ fd, events: POLLIN }));
    let quiet = 0;
    for (let next = performance.now() + interval; ; ) {
      const now = performance.now();
      const paused = now < quiet;
      const [ended, deaf, ...happened] = poll(
        [{ fd: init, events: POLLIN }, { fd: listener, events: 0 }, ...(paused ? [] : watched)],
        Math.max((paused ? Math.min(next, quiet) : next) - now, 0),
      );
      if (deaf !== 0) return;
      const due = performance.now() >= next;
      // Not all that v1 counts makes a descriptor ready: at a count, all is looked at.
      if (due || ended !== 0 || happened.some((events) => events !== 0)) {
        const events = watch.take();
        tell(events);
        if (ended !== 0 || events === undefined) return;
        quiet = performance.now() + PAUSE;
      }
      if (!due) continue;
      onEvent(stats(record, driver));
      // Of counts that were missed meanwhile, none is made up for.
      next = Math.max(next + interval, performance.now());
    }
  } finally {
    watch?.close();
    if (init >= 0) close(init);
  }
}

/** That nobody is in the cgroup any more: the end of the stream says so. */
function isTheEnd(data: CgroupEvent["data"]): boolean {
  return data !== undefined && Object.keys(data).join() === "populated";
}

function stats({ id, cgroupPaths }: ContainerRecord, driver: CgroupDriver): ContainerEvent {
  return { type: "stats", id, data: driver.stats(cgroupPaths) };
}

function needUsing(root: string, id: string): ContainerRecord {
  const record = needRecord(root, id);
  if (statusOfRecord(root, record) === "stopped") throw notRunning(id);
  return record;
}

/** runc's words. */
function notRunning(id: string): Error {
  return fail({
    code: "WRONG_STATE",
    message: `container with id ${id} is not running`,
    hint: "it has stopped",
  });
}
