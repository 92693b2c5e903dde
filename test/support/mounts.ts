// What tests of mounts share: changes of a config, and directories to bind.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bundle } from "./bundle.ts";
import type { Config } from "./config.ts";

export const sh = (script: string): string[] => ["sh", "-c", script];

/** A user namespace of its own, whose IDs are the host's from 100000 up. */
export function withUser({ linux }: Config): void {
  linux.namespaces.push({ type: "user" });
  linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
}

/** Capabilities beyond those of the default config. */
export function withCapabilities({ process }: Config, ...names: string[]): void {
  for (const set of ["bounding", "effective", "permitted"]) process.capabilities[set]?.push(...names);
}

/** Makes directories in the root file system: root of a user namespace could not. */
export function makePlaces({ rootfs }: Bundle, ...names: string[]): void {
  for (const name of ["proc", "dev", "sys", ...names]) mkdirSync(join(rootfs, name), { recursive: true });
}

/** A directory beside the root file system, with one file of root's. */
export function makeSource({ path }: Bundle, name: string): string {
  const source = join(path, name);
  mkdirSync(source, { recursive: true });
  writeFileSync(join(source, "file"), "content\n");
  return source;
}
