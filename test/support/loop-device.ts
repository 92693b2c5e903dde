// A block device of a test's own, to be limited: nothing is on it.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./bundle.ts";

export interface LoopDevice {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
  detach(): void;
}

/** Makes one of a file of a megabyte in that folder; detach it before the folder goes. */
export function makeLoopDevice(folder: string): LoopDevice {
  const file = join(folder, "disk");
  writeFileSync(file, new Uint8Array(1 << 20));
  const { code, out, err } = runCommand(["losetup", "--find", "--show", file]);
  if (code !== 0) throw new Error(`losetup: ${err}`);
  const path = out.trim();
  const [major = 0, minor = 0] = runCommand(["stat", "--format", "%Hr %Lr", path]).out.split(" ").map(Number);
  return { path, major, minor, detach: () => void runCommand(["losetup", "--detach", path]) };
}
