/** OCI kill: a signal to the container's process, or to all in its cgroup. */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { check } from "../kernel/check.ts";
import { close } from "../kernel/file.ts";
import { tryPidfd, trySignal } from "../kernel/process.ts";
import { SIGKILL } from "../kernel/signal.ts";
import { needRecord, statusOfRecord } from "./state.ts";
import { isPaused } from "./status.ts";

export interface KillRequest {
  readonly root: string;
  readonly id: string;
  readonly signal: number;
  readonly all?: boolean;
  readonly registry: DriverRegistry;
}

export function killContainer({ root, id, signal, all, registry }: KillRequest): void {
  const record = needRecord(root, id);
  if (all === true && record.cgroupDriver !== undefined) {
    registry.get("cgroup", record.cgroupDriver).killAll(record.cgroupPaths, signal);
    return;
  }
  // Held first and looked at then: it is the container's process that gets the signal, or nobody.
  const pidfd = tryPidfd(record.pid);
  try {
    if (pidfd < 0 || statusOfRecord(root, record) === "stopped") {
      throw fail({ code: "WRONG_STATE", message: "container not running", hint: `${id} has stopped` });
    }
    const message = `cannot signal container ${id}`;
    check(trySignal(pidfd, signal), { syscall: "pidfd_send_signal", message });
    // On v1 a frozen process dies only once it is thawed. Every other signal waits for resume.
    if (signal === SIGKILL && record.cgroupDriver !== undefined && isPaused(record, registry)) {
      registry.get("cgroup", record.cgroupDriver).thaw(record.cgroupPaths);
    }
  } finally {
    if (pidfd >= 0) close(pidfd);
  }
}
