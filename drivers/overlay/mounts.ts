/**
 * What an overlay snapshot is mounted as. Not here: mounting it.
 */
import type { SnapshotMount } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { statusOf } from "../../src/kernel/file.ts";

/** mount(2) takes one page of options, its NUL included. */
const OPTIONS_LIMIT = 4095;

/** Directories of one snapshot. `lower` are its parents' layers, the nearest first. */
export interface Layers {
  readonly kind: "active" | "view";
  readonly upper: string;
  readonly work: string;
  readonly lower: readonly string[];
}

/** The mounts that show a snapshot; as containerd's: one layer alone is bound, several are an overlay. */
export function mountsOf({ kind, upper, work, lower }: Layers): SnapshotMount[] {
  const [only, ...more] = lower;
  if (kind === "active") {
    if (only === undefined) return [bind(upper, "rw")];
    return [overlay([`lowerdir=${lower.join(":")}`, `upperdir=${upper}`, `workdir=${work}`])];
  }
  if (only === undefined) return [bind(upper, "ro")];
  if (more.length === 0) return [bind(only, "ro")];
  return [overlay(["ro", `lowerdir=${lower.join(":")}`])];
}

function bind(source: string, access: "ro" | "rw"): SnapshotMount {
  return { type: "bind", source, options: ["rbind", access] };
}

/**
 * `index=off` where the kernel knows it: with the index, one layer could not be under two overlays. Neither redirects
 * nor metadata-only copies: what a layer holds must mean the same wherever it is mounted.
 */
function overlay(options: readonly string[]): SnapshotMount {
  const extra: string[] = [];
  for (const [parameter, option] of [
    ["index", "index=off"],
    ["redirect_dir", "redirect_dir=off"],
    ["metacopy", "metacopy=off"],
  ] as const) {
    if (statusOf(`/sys/module/overlay/parameters/${parameter}`) !== undefined) extra.push(option);
  }
  const all = [...options, ...extra];
  const length = Buffer.byteLength(all.join(","));
  if (length > OPTIONS_LIMIT) {
    throw fail({
      code: "TOO_MANY_LAYERS",
      message: `the mount options of this image's layers have ${length} bytes, and the kernel takes ${OPTIONS_LIMIT}`,
      hint: "a store with a shorter path has room for more layers; or squash the image",
    });
  }
  return { type: "overlay", source: "overlay", options: all };
}
