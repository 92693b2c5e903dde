/**
 * What every verb of the engine works with: where things are kept, which drivers there are, how warnings are told.
 * Made by cli/ once for a command. Not here: what the verbs do.
 */
import type { DriverRegistry, Host, Snapshotter } from "../driver.ts";
import { fail } from "../error.ts";
import type { Store } from "../image/store/store.ts";
import type { Settings } from "./settings/load.ts";

/** The engine's surroundings. */
export interface Engine {
  readonly settings: Settings;
  readonly registry: DriverRegistry;
  readonly host: Host;
  /** State root of the engine's containers, for runtime/. */
  readonly stateRoot: string;
  /** The caller's working directory and environment. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The store of images, opened on first use. */
  store(): Store;
  warn(message: string): void;
}

/** The snapshotter by that name, at its place in the store; without a name, the first that works here. */
export function openSnapshotter(engine: Engine, name = engine.settings.snapshotter): Snapshotter {
  const { registry, host, settings } = engine;
  if (name !== undefined && !registry.names("snapshotter").includes(name)) {
    throw fail({
      code: "NO_DRIVER",
      field: "--snapshotter",
      message: `there is no snapshotter named ${JSON.stringify(name)}`,
      hint: `known: ${registry.names("snapshotter").join(", ")}; one of your own is given with --driver FILE`,
    });
  }
  const driver =
    name === undefined ? registry.choose("snapshotter", host) : registry.get("snapshotter", name);
  const probe = driver.probe(host);
  if (!probe.ok) {
    throw fail({
      code: "NO_DRIVER",
      field: "--snapshotter",
      message: `snapshotter ${driver.name} does not work on this host: ${probe.why}`,
      hint: probe.hint,
    });
  }
  return driver.open(`${settings.store}/snapshots/${driver.name}`);
}

/** Containers need what only root may do, until rootless exists. */
export function requireRoot(host: Host, verb: string): void {
  if (host.uid === 0) return;
  throw fail({
    code: "PERMISSION",
    message: `${verb} needs root so far: ctr-bun runs as user ${host.uid}`,
    hint: "start it with sudo",
  });
}
