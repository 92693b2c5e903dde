/**
 * `linux.resources.unified`: any file of the cgroup2 tree, by name. Written after everything else, so it wins.
 */
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";
import { badValue, type Setting } from "../cgroup-common/setting.ts";

/** A setting and the controller that its file belongs to; undefined for those of the core (`cgroup.*`). */
export interface UnifiedSetting {
  readonly controller: string | undefined;
  readonly setting: Setting;
}

/** What is written there is no value, but a process that is to be moved, and would end with the container. */
const MOVES: ReadonlySet<string> = new Set(["cgroup.procs", "cgroup.threads"]);

/** The settings, in the order of the config. A name that leads out of the directory is refused. */
export function unifiedSettings({ unified }: LinuxResources): UnifiedSetting[] {
  return Object.entries(unified ?? {}).flatMap(([file, text]) => {
    if (file === "" || file.includes("/") || file.includes("\0") || !file.includes(".")) {
      throw badValue(`unified.${file}`, "is not the name of a cgroup file");
    }
    if (MOVES.has(file)) {
      throw badValue(`unified.${file}`, "is no limit: it would move a process of the host into the cgroup");
    }
    const controller = file.slice(0, file.indexOf("."));
    // The kernel takes one line in a write: of files with a line for each device, several may be given, as in runc.
    const lines = text.split("\n").filter((line) => line !== "");
    return (lines.length === 0 ? ["\n"] : lines).map((data) => ({
      controller: controller === "cgroup" || file.endsWith(".pressure") ? undefined : controller,
      setting: { field: `unified.${file}`, file, data },
    }));
  });
}
