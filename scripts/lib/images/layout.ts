// Makes OCI image layouts with umoci, layer by layer, with fixed times so that a digest depends on contents alone.
// What goes into each image is in the files beside this one.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.ts";

/** 2025-01-01: no file of an image is newer, and every history entry says so. */
export const epoch = 1_735_689_600;
const created = new Date(epoch * 1000).toISOString().replace(".000Z", "Z");

/** An image under construction: `rootfs` is changed freely, then a method makes a layer out of what changed. */
export type Image = {
  rootfs: string;
  /** Makes a layer of what is different in `rootfs` now. */
  layer(createdBy: string): void;
  /** Adds `source` as an opaque directory: what lower layers have at `target` is gone. Only after the last `layer`. */
  replace(source: string, target: string, createdBy: string): void;
  /** Sets the image's config by umoci's own options, such as `--config.user=demo`, and names it `tag`. */
  finish(tag: string, options: readonly string[]): void;
};

/** Sets the times of what is newer than the epoch to it; older times, of packaged files, stay. */
function settleTimes(path: string): void {
  run(["find", path, "-xdev", "-newermt", `@${epoch}`, "-exec", "touch", "-h", "-d", `@${epoch}`, "{}", "+"]);
}

/** A new image without layers in a new layout at `layout`; `work` is an empty directory for the time of making it. */
export function newImage(layout: string, work: string): Image {
  const image = `${layout}:making`;
  const bundle = join(work, "bundle");
  run(["umoci", "init", "--layout", layout]);
  run(["umoci", "new", "--image", image]);
  run(["umoci", "unpack", "--image", image, bundle]);
  const history = (by: string) => [`--history.created=${created}`, `--history.created_by=${by}`];
  const rootfs = join(bundle, "rootfs");
  mkdirSync(rootfs, { recursive: true });
  return {
    rootfs,
    layer(createdBy) {
      settleTimes(rootfs);
      run(["umoci", "repack", "--refresh-bundle", "--image", image, ...history(createdBy), bundle]);
    },
    replace(source, target, createdBy) {
      settleTimes(source);
      run(["umoci", "insert", "--opaque", "--image", image, ...history(createdBy), source, target]);
    },
    finish(tag, options) {
      run([
        "umoci",
        "config",
        "--no-history",
        `--created=${created}`,
        ...options,
        "--image",
        image,
        "--tag",
        tag,
      ]);
    },
  };
}

/** Removes what building left in the layout: the working tag, and blobs that no tag needs. */
export function closeLayout(layout: string): void {
  run(["umoci", "rm", "--image", `${layout}:making`]);
  run(["umoci", "gc", "--layout", layout]);
}
