// Where the test images are. They are made beforehand, by `npm test` or `npm run images`; recipes: scripts/lib/images.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ImageName } from "../../scripts/images.ts";

/**
 * The OCI layout of a test image, or a root file system: "busybox-rootfs", "debian-base". Tags: busybox:1 (entry point,
 * volume, stop signal), busybox:plain, odd:1, debian-demo:1. Throws where it has not been made.
 */
export function imagePath(name: ImageName): string {
  const path = join(resolve(import.meta.dir, "../.."), "build/images", name);
  if (!existsSync(path)) throw new Error(`${path} is not there: npm run images makes it`);
  return path;
}
