/** OCI pause and resume: every process of a container is stopped, and goes on, by its cgroup's freezer. */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { whileKept } from "./lock.ts";
import { needRecord } from "./state.ts";
import { cgroupDriverOf, currentStatus } from "./status.ts";

const UNPAUSED = "it cannot be paused";

/** Stops a container that is created or running. What is stopped already, or has ended, is an error (as in runc). */
export function pauseContainer(root: string, id: string, registry: DriverRegistry): void {
  whileKept(root, id, () => pause(root, id, registry));
}

function pause(root: string, id: string, registry: DriverRegistry): void {
  const record = needRecord(root, id);
  const status = currentStatus(root, record, registry);
  if (status !== "running" && status !== "created") {
    throw fail({
      code: "WRONG_STATE",
      message: "container not running",
      hint: status === "paused" ? `${id} is paused already: resume it` : `${id} has stopped`,
    });
  }
  const driver = cgroupDriverOf(record, registry, UNPAUSED);
  driver.freeze(record.cgroupPaths);
  if (driver.processes(record.cgroupPaths).length > 0) return;
  // It ended meanwhile: what is frozen and empty would look paused for ever.
  driver.thaw(record.cgroupPaths);
  throw fail({ code: "WRONG_STATE", message: "container process already exited", hint: `${id} has stopped` });
}

/** Lets a paused container go on. */
export function resumeContainer(root: string, id: string, registry: DriverRegistry): void {
  whileKept(root, id, () => resume(root, id, registry));
}

function resume(root: string, id: string, registry: DriverRegistry): void {
  const record = needRecord(root, id);
  const status = currentStatus(root, record, registry);
  if (status !== "paused") {
    throw fail({ code: "WRONG_STATE", message: "container not paused", hint: `${id} is ${status}` });
  }
  cgroupDriverOf(record, registry, UNPAUSED).thaw(record.cgroupPaths);
}
