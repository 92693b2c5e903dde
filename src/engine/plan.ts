/**
 * `plan`: what would be done for a bundle or an image, step by step, without doing it.
 * Not here: plans (plan/), or their text (plan/record.ts).
 */

import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { S_IFDIR } from "../kernel/constants.ts";
import { readText, statusOf } from "../kernel/file.ts";
import { type Describe, recordPlan } from "../plan/record.ts";
import { type ContainerRequest, preparePlan } from "../runtime/prepare.ts";
import { parseJson } from "../spec/parse.ts";
import { RuntimeConfig } from "../spec/runtime/config.ts";
import { readFlags } from "./asked.ts";
import { cgroupRequest, checkCgroupManager } from "./cgroup-manager.ts";
import { parseCgroupManager } from "./config/cgroup-flags.ts";
import { createContainer } from "./create.ts";
import { type Engine, requireRoot } from "./engine.ts";
import { inFlags } from "./flag-fields.ts";
import { interruptible } from "./interrupt.ts";
import { absolutePath } from "./path.ts";
import type { RunRequest } from "./run.ts";

/** The plan of a bundle: a directory with a config.json. `manager` by its name; as at the OCI level, cgroupfs without. */
export function planBundle(engine: Engine, directory: string, manager: string | undefined): string {
  const bundle = absolutePath(directory, engine.cwd);
  const config = parseJson(RuntimeConfig, readText(`${bundle}/config.json`), "config.json");
  const chosen = manager === undefined ? undefined : parseCgroupManager(manager, "--cgroup-manager");
  if (chosen !== undefined) checkCgroupManager(chosen, engine.host);
  return planText(engine, { id: "plan", bundle, config, ...cgroupRequest(chosen) });
}

/**
 * Whether a word means a bundle and not an image: a directory with a config.json.
 * @throws CtrError NOT_FOUND where it means a path, and no bundle is there.
 */
export function isBundle(engine: Engine, text: string): boolean {
  const path = absolutePath(text, engine.cwd);
  if (statusOf(`${path}/config.json`) !== undefined) return true;
  if (!/^[./]/.test(text) && statusOf(path, undefined, 0)?.type !== S_IFDIR) return false;
  throw fail({
    code: "NOT_FOUND",
    message: `${text} is no bundle: there is no config.json`,
    path: `${path}/config.json`,
    hint: "name a directory with a config.json, or an image with its tag: busybox:latest",
  });
}

/** The plan of `run` with the same arguments. The image is pulled; the container is made and taken back. */
export async function planImage(engine: Engine, request: RunRequest): Promise<string> {
  requireRoot(engine.host, "plan");
  const asked = readFlags(request.flags, engine);
  return await interruptible(async (signal) => {
    const created = await createContainer(engine, { ...request, asked, signal });
    const { record, bundle, config, undo, requests } = created;
    const { host } = record;
    try {
      return planText(engine, { id: record.id, bundle, config, ...cgroupRequest(host.cgroupManager) });
    } catch (error) {
      throw inFlags(error, { mounts: config.mounts ?? [], requests, limits: host });
    } finally {
      for (const left of undo.run()) engine.warn(`not taken back: ${String(left)}`);
    }
  });
}

function planText(
  engine: Engine,
  of: Pick<ContainerRequest, "id" | "bundle" | "config" | "noCgroup" | "cgroupDriver">,
): string {
  const { stateRoot: root, registry, host } = engine;
  return recordPlan(preparePlan({ root, registry, host, ...of }), true, describeWith(registry));
}

/** Drivers of cgroups may say more of what they do: what a program for devices is. */
function describeWith(registry: DriverRegistry): Describe {
  return ({ kind, name, call, args }) =>
    kind === "cgroup" ? (registry.get(kind, name).describe?.(call, args) ?? []) : [];
}
