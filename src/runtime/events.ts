/**
 * OCI events: what a container uses, every so often, and when it runs out of memory, in runc's shape (types/events.go of
 * opencontainers/runc). Not here: where the counters come from (cgroup drivers).
 */
import type { CgroupDriver, CgroupStats, DriverRegistry, OomWatch } from "../driver.ts";
import { fail } from "../error.ts";
import { POLLIN } from "../kernel/constants.ts";
import { close } from "../kernel/file.ts";
import { poll } from "../kernel/poll.ts";
import { tryPidfd } from "../kernel/process.ts";
import { type ContainerRecord, needRecord, statusOfRecord } from "./state.ts";
import { cgroupDriverOf } from "./status.ts";

const UNCOUNTED = "nothing is counted";

export type ContainerEvent =
  | { readonly type: "stats"; readonly id: string; readonly data: CgroupStats }
  | { readonly type: "oom"; readonly id: string };

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
  let oom: OomWatch | undefined;
  try {
    if (init < 0 || statusOfRecord(root, record) === "stopped") throw notRunning(id);
    oom = driver.watchOom(record.cgroupPaths);
    const tell = (count: number | undefined): void => {
      for (let at = 0; at < (count ?? 0); at++) onEvent({ type: "oom", id });
    };
    for (let next = performance.now() + interval; ; ) {
      const [ended, happened, deaf] = poll(
        [
          { fd: init, events: POLLIN },
          { fd: oom?.fd ?? -1, events: POLLIN },
          { fd: listener, events: 0 },
        ],
        Math.max(next - performance.now(), 0),
      );
      if (deaf !== 0) return;
      if (ended !== 0 || happened !== 0) {
        const count = oom?.take();
        tell(count);
        if (ended !== 0 || (oom !== undefined && count === undefined)) return;
      }
      if (performance.now() < next) continue;
      onEvent(stats(record, driver));
      // Of counts that were missed meanwhile, none is made up for.
      next = Math.max(next + interval, performance.now());
    }
  } finally {
    oom?.close();
    if (init >= 0) close(init);
  }
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
