/**
 * Messages between the init and ctr-bun, over one SOCK_SEQPACKET channel (docs/machine.md): three u32, little endian.
 * Not here: sending (rows, made by plan/) and receiving (runtime/).
 */
import type { SyncPoint } from "../plan/step.ts";

/** Kinds of report, the first u32 of every message of the init; the second and third are its values. */
export const REPORT = {
  /** a: pid of the container's init. */
  pid: 1,
  /** a: which sync point (index in SYNC_POINTS); the init waits for 8 bytes. */
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
export const SYNC_POINTS: readonly SyncPoint[] = ["maps", "pid", "mounts", "created", "network"];

/** Descriptors that the init sends, by their number in a report; of a hook that it runs, what the hook says. */
export const DESCRIPTOR = { console: 1, seccomp: 2, createContainer: 3, startContainer: 4 } as const;

/** Bytes of a report. */
export function reportBytes(kind: number, a = 0, b = 0): Uint8Array {
  return new Uint8Array(Uint32Array.of(kind, a, b).buffer);
}
