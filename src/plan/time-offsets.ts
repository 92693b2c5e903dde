/** The time namespace and its clocks: `linux.timeOffsets` (time_namespaces(7)). Pure. */
import { CLONE_NEWTIME } from "../kernel/constants.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";
import { openProcFileRow, writeProcFileRows } from "./proc-file.ts";
import { row } from "./rows.ts";
import type { InitStep } from "./step.ts";

const CLOCKS = "/proc/self/timens_offsets";

function linesOf({ linux }: Pick<RuntimeConfig, "linux">): string[] {
  return Object.entries(linux?.timeOffsets ?? {}).flatMap(([clock, offset]) =>
    offset === undefined ? [] : [`${clock} ${offset.secs ?? 0} ${offset.nanosecs ?? 0}\n`],
  );
}

/** Opens the file beforehand, where a mount namespace is joined: in there /proc may be anything. */
export function holdClocksSteps(config: Pick<RuntimeConfig, "linux">): InitStep[] {
  if (linesOf(config).length === 0) return [];
  return [
    {
      on: "init",
      field: "linux.timeOffsets",
      about: "take hold of the clocks' offsets, while /proc is the host's",
      path: CLOCKS,
      rows: [openProcFileRow(CLOCKS)],
    },
  ];
}

/** A new namespace, and its clocks before anybody is in it. `held`: by {@link holdClocksSteps}. */
export function timeNamespaceSteps(config: Pick<RuntimeConfig, "linux">, held: boolean): InitStep[] {
  const steps: InitStep[] = [
    {
      on: "init",
      field: "linux.namespaces",
      about: "make the time namespace",
      rows: [row("unshare", [CLONE_NEWTIME])],
      hints: { EINVAL: "this kernel has no time namespaces" },
    },
  ];
  const lines = linesOf(config);
  if (lines.length === 0) return steps;
  steps.push({
    on: "init",
    field: "linux.timeOffsets",
    about: "set the clocks' offsets",
    path: CLOCKS,
    rows: [...(held ? [] : [openProcFileRow(CLOCKS)]), ...writeProcFileRows(lines.join(""))],
    hints: {
      EPERM: "setting clocks takes CAP_SYS_TIME",
      ERANGE: "a clock can be set neither below 0 nor more than 146 years ahead",
    },
  });
  return steps;
}
