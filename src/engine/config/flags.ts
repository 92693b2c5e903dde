/**
 * The flags of `run`, as people type them, under their own names. Types only.
 */
import type { CgroupFlags } from "./cgroup-flags.ts";
import type { LimitFlags } from "./limit-flags.ts";

/** What `run` and `plan` get from the command line. */
export interface RunFlags extends LimitFlags, CgroupFlags {
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly rm: boolean;
  readonly init: boolean;
  readonly privileged: boolean;
  readonly "read-only": boolean;
  readonly quiet: boolean;
  readonly name: string | undefined;
  readonly env: readonly string[];
  readonly "env-file": readonly string[];
  readonly volume: readonly string[];
  readonly tmpfs: readonly string[];
  readonly mount: readonly string[];
  readonly workdir: string | undefined;
  readonly user: string | undefined;
  readonly entrypoint: string | undefined;
  readonly hostname: string | undefined;
  readonly "cap-add": readonly string[];
  readonly "cap-drop": readonly string[];
  readonly "security-opt": readonly string[];
  readonly network: string | undefined;
  readonly ulimit: readonly string[];
  readonly device: readonly string[];
  readonly "device-cgroup-rule": readonly string[];
  readonly "oom-score-adj": string | undefined;
  readonly label: readonly string[];
  readonly pull: string | undefined;
  readonly platform: string | undefined;
  readonly "stop-signal": string | undefined;
  readonly dns: readonly string[];
  readonly "add-host": readonly string[];
  readonly cidfile: string | undefined;
}
