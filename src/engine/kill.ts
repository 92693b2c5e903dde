/**
 * `kill`: a signal to a container's program.
 */
import { fail } from "../error.ts";
import { killContainer } from "../runtime/lifecycle.ts";
import { findContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { parseSignal } from "./signal.ts";
import { containerStatus } from "./status.ts";

/** @throws CtrError NOT_FOUND, NOT_RUNNING. */
export function signalContainer(engine: Engine, text: string, signal: string): void {
  const number = parseSignal(signal, "--signal");
  const record = findContainer(engine.settings.store, text);
  if (containerStatus(engine, record).status !== "running") {
    throw fail({
      code: "NOT_RUNNING",
      message: `cannot kill container ${text}: container is not running`,
      hint: "'ctr-bun ps' lists those that run",
    });
  }
  killContainer({ root: engine.stateRoot, id: record.id, signal: number, registry: engine.registry });
}
