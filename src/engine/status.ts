/**
 * What a container is doing now: its record, corrected by what the runtime knows of its process.
 */
import { fail } from "../error.ts";
import { containerState } from "../runtime/lifecycle.ts";
import { findContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { ContainerRecord } from "./record.ts";

/** The state of a container at this moment. */
export interface ContainerStatus {
  readonly status: "created" | "running" | "exited";
  /** 0 unless it runs. */
  readonly pid: number;
  readonly exitCode: number;
}

/** As Docker's after its daemon was killed: that it ended is known, how is not. */
const UNKNOWN_EXIT = 255;

export function containerStatus(engine: Pick<Engine, "stateRoot">, record: ContainerRecord): ContainerStatus {
  const state = containerState(engine.stateRoot, record.id);
  const { status, exitCode } = record.state;
  if (state?.status === "running") return { status: "running", pid: state.pid ?? 0, exitCode: 0 };
  // The ctr-bun that waited for it was killed before it could say how it ended.
  if (status === "running") return { status: "exited", pid: 0, exitCode: UNKNOWN_EXIT };
  return { status, pid: 0, exitCode };
}

/** A container that runs, by its name or ID. @throws CtrError NOT_FOUND, AMBIGUOUS, NOT_RUNNING. */
export function findRunning(engine: Pick<Engine, "stateRoot" | "settings">, text: string): ContainerRecord {
  const record = findContainer(engine.settings.store, text);
  if (containerStatus(engine, record).status === "running") return record;
  throw fail({
    code: "NOT_RUNNING",
    message: `container ${text} is not running`,
    hint: "'ctr-bun ps' lists those that run",
  });
}
