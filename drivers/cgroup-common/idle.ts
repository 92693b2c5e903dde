/** `linux.resources.cpu.idle`, which both versions have in a file of the same name. */
import type { LinuxCpu } from "../../src/spec/runtime/resources.ts";
import type { Setting } from "./setting.ts";

/** The one setting, or none. */
export function idleOf({ idle }: LinuxCpu): Setting[] {
  if (idle === undefined) return [];
  // Every new cgroup is at 0, so that asks for nothing where the file does not exist.
  const allow =
    idle === 0 ? { allow: ["ENOENT"] } : { hints: { ENOENT: "cpu.idle needs a kernel since 5.15" } };
  return [{ field: "cpu.idle", file: "cpu.idle", data: String(idle), ...allow }];
}
