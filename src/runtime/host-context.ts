/** What host steps work on, and what several of them do. Not here: carrying them out (act.ts). */
import type { DriverRegistry, Host } from "../driver.ts";
import { check } from "../kernel/check.ts";
import { tryWriteFile } from "../kernel/file.ts";
import type { HostStep, IdMapAction } from "../plan/step.ts";
import { idMapText } from "../plan/user-maps.ts";
import type { Hook } from "../spec/runtime/config.ts";

/** What host steps work on. */
export interface HostContext {
  readonly registry: DriverRegistry;
  readonly arch: Host["arch"];
  /** The report channel, once the init is started. */
  channel: number | undefined;
  /** Descriptors opened for the init, or for helpers, by name. */
  readonly descriptors: Record<string, number>;
  /** Descriptors that the init sent for the next host step. */
  readonly received: number[];
  /** The listener of the init's seccomp filter, until it is given to its agent. */
  listener?: number | undefined;
  /** Directories that were made, in order. */
  readonly made: string[];
  /** Their inodes: who finds another one has something that was made since. */
  readonly inodes: Map<string, bigint | undefined>;
  /** Takes back what else was done, the last one first; called once the init is gone. */
  readonly undo: (() => void)[];
  /** Stage 0 of the init, once started: its maps are written. */
  stage0: number | undefined;
  /** The container's process, once known. */
  pid: number | undefined;
  /** What the init hears when it is let go on, where that is more than a word. */
  word?: Uint8Array | undefined;
  runHooks(name: string, hooks: readonly Hook[]): void;
  /** Gets the time of every step, in nanoseconds (trace). */
  readonly onTime?: ((step: HostStep, nanoseconds: number) => void) | undefined;
}

/** uid_map and gid_map take the whole map in one write (user_namespaces(7)). */
export function writeIdMap({ file, map, as }: Pick<IdMapAction, "file" | "map" | "as">, pid: number): void {
  if (as === "tool") {
    (require("./id-map-tool.ts") as typeof import("./id-map-tool.ts")).mapByTool(file, map, pid);
    return;
  }
  const path = `/proc/${pid}/${file}`;
  if (as === "own" && file === "gid_map") {
    const groups = `/proc/${pid}/setgroups`;
    check(tryWriteFile(groups, "deny"), { syscall: "write", path: groups });
  }
  check(tryWriteFile(path, idMapText(map)), {
    syscall: "write",
    path,
    hint: "the IDs that are mapped must be ones that ctr-bun's own user namespace has, each once; and it takes CAP_SETUID and CAP_SETGID",
  });
}
