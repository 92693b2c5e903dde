// runc and ctr-bun side by side at the OCI level, each with bundles and containers of its own, at the same time.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CTR_BUN, makeRootfs, type Result } from "./bundle.ts";
import { type Config, specConfig } from "./config.ts";
import { command } from "./two-runtimes.ts";

/** One of the two. */
export interface Runtime {
  readonly name: "runc" | "ours";
  /** Calls it. */
  ask(...args: string[]): Promise<Result>;
  /** `create` of a container that sleeps, with its config changed; delete it afterwards. */
  create(id: string, change: (config: Config) => void): Promise<Result>;
}

export interface Beside {
  readonly folder: string;
  /** Carries out the same with both at once: runc's outcome first. */
  both<T>(work: (runtime: Runtime) => Promise<T>): Promise<{ runc: T; ours: T }>;
  /** Deletes what a test that failed has left, and the bundles. */
  dispose(): Promise<void>;
}

/** Deletes all containers of a runtime's state root: what a test that failed has left, or a runtime that crashed. */
export async function deleteAll(ask: Runtime["ask"]): Promise<void> {
  for (const { id } of JSON.parse((await ask("list", "--format", "json")).out) ?? [])
    await ask("delete", "--force", id);
}

/** Bundles with a root file system of busybox. */
export function makeBeside(): Beside {
  const folder = mkdtempSync(join(tmpdir(), "ctr-bun-beside-"));
  makeRootfs(folder);
  const make = (name: Runtime["name"]): Runtime => {
    const bundle = join(folder, name);
    mkdirSync(bundle);
    const ask: Runtime["ask"] = (...args) =>
      command([name === "runc" ? "runc" : CTR_BUN, "--root", join(folder, `${name}-state`), ...args]);
    return {
      name,
      ask,
      create(id, change) {
        const config = specConfig("../rootfs", ["sleep", "1000"]);
        change(config);
        writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
        return ask("create", "--bundle", bundle, id);
      },
    };
  };
  const runtimes = { runc: make("runc"), ours: make("ours") };
  return {
    folder,
    async both(work) {
      const [runc, ours] = await Promise.all([work(runtimes.runc), work(runtimes.ours)]);
      return { runc, ours };
    },
    async dispose() {
      for (const { ask } of Object.values(runtimes)) await deleteAll(ask);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
