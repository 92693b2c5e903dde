/**
 * One layer into one prepared snapshot, whatever the snapshotter is.
 * Not here: the unpacking (unpack.ts) and the order in which layers are applied (layers.ts).
 */
import { randomUUID } from "node:crypto";
import { rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import type { SnapshotMount, Snapshotter } from "../../driver.ts";
import { mkdirAll } from "../../kernel/file.ts";
import { mount, unmount } from "../../kernel/mount.ts";
import { type UnpackOptions, type UnpackResult, unpackLayer } from "./unpack.ts";

/** As {@link UnpackOptions}, with a prepared snapshot in place of a directory. */
export interface ApplyOptions extends Omit<UnpackOptions, "rootPath" | "whiteouts" | "lower"> {
  readonly snapshotter: Snapshotter;
  /** Key of an active snapshot: `snapshotter.prepare(key, parent)` was called. */
  readonly key: string;
}

/**
 * Unpacks a layer into an active snapshot: straight into its upper directory where the snapshotter has one; into the
 * one directory that it binds; else into its mounts, mounted for the time being. The caller commits the snapshot, or
 * removes it when this throws.
 */
export async function applyLayer(options: ApplyOptions): Promise<UnpackResult> {
  const { snapshotter, key } = options;
  const mounts = snapshotter.mounts(key);
  const upper = snapshotter.upper(key);
  if (upper !== undefined) {
    return await unpackLayer({
      ...options,
      rootPath: upper,
      whiteouts: "overlay",
      lower: lowerDirectories(mounts),
    });
  }
  const [only] = mounts;
  if (mounts.length === 1 && only !== undefined && /(^|,)r?bind(,|$)/.test(only.options.join(","))) {
    return await unpackLayer({ ...options, rootPath: only.source, whiteouts: "remove" });
  }
  const target = `${tmpdir()}/ctr-bun-layer-${randomUUID()}`;
  mkdirAll(target, 0o700);
  let mounted = 0;
  try {
    for (const { source, type, options: flags } of mounts) {
      mount(source, target, type, flags);
      mounted++;
    }
    return await unpackLayer({ ...options, rootPath: target, whiteouts: "remove" });
  } finally {
    while (mounted-- > 0) unmount(target);
    rmdirSync(target);
  }
}

/** Directories of the layers below, topmost first, from the options of an overlay mount. */
export function lowerDirectories(mounts: readonly SnapshotMount[]): string[] {
  const paths: string[] = [];
  for (const { options } of mounts) {
    for (const option of options) {
      const list = /^lowerdir\+?=(.*)$/s.exec(option)?.[1];
      if (list === undefined) continue;
      for (const path of list.split(/(?<!\\):/)) paths.push(path.replace(/\\(.)/g, "$1"));
    }
  }
  return paths;
}
