/**
 * The engine that a command works with, put together: settings, drivers, host, store.
 */
import { builtinRegistry } from "../builtin-drivers.ts";
import type { Engine } from "../engine/engine.ts";
import { loadSettings } from "../engine/settings/load.ts";
import { addUserDrivers } from "../engine/user-drivers.ts";
import { openStore, type Store } from "../image/store/store.ts";
import { probeHost } from "../runtime/host.ts";
import { ENGINE_ROOT } from "../runtime/state.ts";
import type { Globals } from "./command.ts";
import { type ReportOptions, reportWarning } from "./report.ts";

/** Reads the settings, loads a user's drivers, probes the host. The store is opened on first use. */
export async function openEngine(globals: Globals, report: ReportOptions): Promise<Engine> {
  const uid = process.geteuid?.() ?? 0;
  const cwd = process.cwd();
  const { settings } = await loadSettings({ flags: globals, env: process.env, uid, cwd });
  const registry = builtinRegistry();
  await addUserDrivers(registry, settings.drivers, uid);
  let store: Store | undefined;
  return {
    settings,
    registry,
    host: probeHost(),
    stateRoot: ENGINE_ROOT,
    cwd,
    env: process.env,
    store() {
      store ??= openStore(settings.store);
      return store;
    },
    warn(message) {
      if (settings.logLevel === "warning") reportWarning(message, { ...report, format: settings.logFormat });
    },
  };
}
