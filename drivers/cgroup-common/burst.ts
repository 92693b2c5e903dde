/** `linux.resources.cpu.burst`, which both versions have, in files of different names. */
import type { LinuxCpu } from "../../src/spec/runtime/resources.ts";
import type { Setting } from "./setting.ts";

const HINTS = {
  ENOENT: "bursts need a kernel since 5.14 with CONFIG_CFS_BANDWIDTH",
  EINVAL: "a burst needs a quota, and cannot be above it",
};

/** The one setting, or none. */
export function burstOf({ burst }: LinuxCpu, file: string): Setting[] {
  if (burst === undefined) return [];
  const setting = { field: "cpu.burst", file, data: String(burst), hints: HINTS };
  // Every new cgroup is at 0, so that asks for nothing where the file does not exist.
  return [burst === 0 ? { ...setting, allow: ["ENOENT"] } : setting];
}
