/**
 * Messages between the init and ctr-bun, over one SOCK_SEQPACKET channel (docs/machine.md): three u32, little endian.
 * Not here: sending (rows, made by plan/) and receiving (runtime/).
 */
import type { SyncPoint } from "../plan/step.ts";

/** Kinds of report, the first u32 of every message of the init; the second and third are its values. */
export const REPORT = {
  /** a: pid of the container's init. */
  pid: 1,
  /** a: which sync point (index in SYNC_POINTS); b: which of those of a kind. The init waits for 8 bytes. */
  sync: 2,
  /** a: errno, b: index of the row. Sent by the stub itself. */
  failure: 3,
  /** a: which descriptor (DESCRIPTOR), which comes along; b: for what a hook says, which of its kind it is. */
  descriptor: 4,
  /** The next thing is execve: end of file after this means that it succeeded. */
  executing: 5,
  /** a: how many times follow behind 16 bytes, each a struct timespec (trace only). */
  times: 6,
  /** A hook that the init ran has failed. a: si_code, 0 where it took too long; b: si_status (sigaction(2)). */
  hook: 7,
} as const;
/** Size of a report: three u32. */
export const REPORT_SIZE = 12;

/** Sync points in the order of their numbers in a report. */
const SYNC_POINTS: readonly string[] = [
  "maps",
  "pid",
  "mounts",
  "created",
  "network",
  "sources",
  "copy-up",
  "cgroup",
];

/** The two numbers of a sync point in its report: its kind's, and which of that kind it is. */
export function syncNumbers(point: SyncPoint): [number, number] {
  const [kind = "", which = "0"] = point.split(" ");
  return [SYNC_POINTS.indexOf(kind), Number(which)];
}

/** The sync point of a report. */
export function syncPointOf(a: number, b: number): SyncPoint | undefined {
  const kind = SYNC_POINTS[a];
  return (kind === "copy-up" || kind === "sources" ? `${kind} ${b}` : kind) as SyncPoint | undefined;
}

/**
 * Descriptors that the init sends, by their number in a report; of a hook that it runs, what the hook says. `tmpfs` and
 * `covered`: a new tmpfs and what goes into it. `source` is sent by a helper.
 */
export const DESCRIPTOR = {
  console: 1,
  seccomp: 2,
  createContainer: 3,
  startContainer: 4,
  tmpfs: 5,
  covered: 6,
  source: 7,
} as const;

/** Bytes of a report. */
export function reportBytes(kind: number, a = 0, b = 0): Uint8Array {
  return new Uint8Array(Uint32Array.of(kind, a, b).buffer);
}
