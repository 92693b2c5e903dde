/**
 * OCI ps: which processes are in a container, and a table of them as ps(1) prints it. Not here: the table for a host
 * without ps(1) (process-table.ts).
 */
import type { DriverRegistry } from "../driver.ts";
import { fail } from "../error.ts";
import { processTable } from "./process-table.ts";
import { needRecord } from "./state.ts";
import { cgroupDriverOf } from "./status.ts";

/**
 * PIDs, in ctr-bun's pid namespace, of every process in the container's cgroup and below it, or without one in its pid
 * namespace; none once it stopped.
 */
export function containerProcesses(root: string, id: string, registry: DriverRegistry): number[] {
  const record = needRecord(root, id);
  const found = record.cgroupDriver === undefined ? byNamespace().namespaceProcesses(record) : undefined;
  if (found !== undefined) return found.sort((a, b) => a - b);
  return cgroupDriverOf(record, registry, "which processes are in it is not known")
    .processes(record.cgroupPaths)
    .sort((a, b) => a - b);
}

/** Loaded only where a container has no cgroup. */
function byNamespace(): typeof import("./namespace-processes.ts") {
  return require("./namespace-processes.ts") as typeof import("./namespace-processes.ts");
}

/**
 * The lines of the host's `ps OPTIONS` that are for these processes, and its heading. Options must leave a column PID.
 * Without ps(1) on the host, the table of `ps -ef`, made here; other options are then an error.
 */
export function processLines(pids: readonly number[], options: readonly string[]): string {
  const wanted = options.length === 0 ? ["-ef"] : options;
  const ps = Bun.which("ps");
  if (ps === null) {
    if (wanted.join(" ") === "-ef") return processTable(pids);
    throw fail({
      code: "NOT_FOUND",
      message: 'exec: "ps": executable file not found in $PATH',
      hint: "options are for the host's ps (package procps); without options, or with --format json, none is needed",
    });
  }
  const { exitCode, stdout, stderr } = Bun.spawnSync([ps, ...wanted], { stdin: "ignore" });
  const output = stdout.toString();
  if (exitCode !== 0) {
    const [said = ""] = `${output}${stderr.toString()}`.trim().split("\n");
    const message = `ps ${wanted.join(" ")}: exit status ${exitCode}: ${said}`;
    throw fail({ code: "PS", message, hint: "see ps(1) for its options" });
  }
  return chooseLines(output, new Set(pids));
}

/** The heading and, of the lines below it, those with one of the PIDs in the column PID. */
export function chooseLines(output: string, pids: ReadonlySet<number>): string {
  const [heading = "", ...lines] = output.split("\n");
  const column = words(heading).indexOf("PID");
  if (column < 0) {
    throw fail({
      code: "USAGE",
      message: "couldn't find PID field in ps output",
      hint: "choose columns with pid among them: ps ID -o pid,args",
    });
  }
  const chosen = lines.filter((line) => pids.has(Number(words(line)[column])));
  return `${[heading, ...chosen].join("\n")}\n`;
}

function words(line: string): string[] {
  return line.trim().split(/\s+/);
}
