/**
 * `linux.intelRdt` (config-linux.md, "IntelRdt"): the container's class in the resctrl file system and its monitoring
 * group. Directories and schemata before there is a process, its pid when there is one. Pure; looking is runtime/'s.
 */
import { fail } from "../error.ts";
import type { LinuxIntelRdt } from "../spec/runtime/config.ts";
import type { PlanInput, ResctrlFact } from "./input.ts";
import type { HostStep, ResctrlGroup } from "./step.ts";

/** This section's part of a plan. */
export interface ResctrlPart {
  readonly before: readonly HostStep[];
  readonly atPid: readonly HostStep[];
  readonly group: ResctrlGroup | undefined;
}

/** What a group cannot be called: the kernel's own directories are. */
const RESERVED = ["info", "mon_groups", "mon_data"];
const SCHEMATA_HINTS = { EINVAL: "info/ in the resctrl file system tells what this hardware can do" };
const MKDIR_HINTS = {
  ENOSPC: "the hardware has no classes or monitoring groups left: see num_closids, num_rmids in info/",
};

/** Directory of a container's class, below the root of resctrl. */
export function groupPath({ closID = "" }: LinuxIntelRdt, id: string, root: string): string {
  return closID === "/" ? root : `${root}/${closID === "" ? id : closID}`;
}

/** What is written to `schemata`, in the order that the specification demands; "" for nothing. */
export function schemataText({ l3CacheSchema, memBwSchema, schemata = [] }: LinuxIntelRdt): string {
  const lines = [l3CacheSchema, memBwSchema, ...schemata].filter((line) => line !== undefined && line !== "");
  return lines.map((line) => `${line}\n`).join("");
}

/** `L3:0=7f0;1=1f` as name and numbers; masks are hexadecimal, bandwidths are not. undefined: not of that form. */
function parseSchema(line: string): { name: string; values: Map<string, string> } | undefined {
  const colon = line.indexOf(":");
  if (colon < 0) return undefined;
  const name = line.slice(0, colon).trim();
  const values = new Map<string, string>();
  for (const part of line.slice(colon + 1).split(";")) {
    if (part.trim() === "") continue;
    const [key = "", value = ""] = part.split("=", 2).map((word) => word.trim());
    const plain = value.toLowerCase().replace(/^0+(?=.)/, "");
    if (key === "" || plain === "") return undefined;
    values.set(key, plain);
  }
  return { name, values };
}

/** Whether a class has, for each cache that `line` names, what it asks for. */
export function hasSchema(schemata: string, line: string): boolean {
  const wanted = parseSchema(line);
  if (wanted === undefined) return false;
  const there = schemata
    .split("\n")
    .map(parseSchema)
    .find((each) => each?.name === wanted.name);
  if (there === undefined) return false;
  return [...wanted.values].every(([key, value]) => there.values.get(key) === value);
}

/** Refuses what the specification says is an error, before anything is made. */
function checkGroup(rdt: LinuxIntelRdt, id: string, { schemata, monitored }: ResctrlFact): void {
  const { closID = "" } = rdt;
  const field = closID === "" ? "linux.intelRdt" : "linux.intelRdt.closID";
  const name = closID === "" ? id : closID;
  if (RESERVED.includes(name)) {
    throw fail({
      code: "INVALID_CONFIG",
      field,
      message: `a class cannot be called ${name}: the kernel has that name`,
    });
  }
  if (rdt.enableMonitoring === true && monitored) {
    throw fail({
      code: "INVALID_CONFIG",
      field: "linux.intelRdt.enableMonitoring",
      message: `there is a monitoring group ${id} already, and the container's must be its own`,
    });
  }
  if (closID === "") return;
  if (schemata === undefined && schemataText(rdt) === "") {
    throw fail({
      code: "NOT_FOUND",
      field,
      message:
        "clos dir not accessible (must be pre-created when l3CacheSchema, memBwSchema and schemata are empty)",
      hint: `make the class ${closID}, or give a schema`,
    });
  }
  for (const property of ["l3CacheSchema", "memBwSchema"] as const) {
    const line = rdt[property];
    if (line === undefined || schemata === undefined || hasSchema(schemata, line)) continue;
    throw fail({
      code: "INVALID_CONFIG",
      field: `linux.intelRdt.${property}`,
      message: `the class ${closID} is there with another schema than ${line}`,
      hint: "give the schema that it has, or take another closID",
    });
  }
}

/** All of the section. */
export function resctrlPart({ config, facts, options: { id } }: PlanInput): ResctrlPart {
  const rdt = config.linux?.intelRdt;
  if (rdt === undefined) return { before: [], atPid: [], group: undefined };
  const fact = facts.resctrl;
  if (fact === undefined) {
    throw fail({
      code: "UNSUPPORTED",
      field: "linux.intelRdt",
      message:
        "intelRdt is specified in config, but Intel RDT is not enabled: no resctrl file system is mounted",
      hint: "on hardware that has it: mount -t resctrl resctrl /sys/fs/resctrl",
    });
  }
  checkGroup(rdt, id, fact);
  const why = `${fact.root}/info/last_cmd_status`;
  const path = groupPath(rdt, id, fact.root);
  const own = (rdt.closID ?? "") === "";
  const made: string[] = [];
  const before: HostStep[] = [];
  const mkdir = (field: string, about: string, directory: string) => {
    before.push({
      on: "host",
      field,
      about: `${about} ${directory}`,
      action: { do: "mkdir", path: directory, mode: 0o755 },
      hints: MKDIR_HINTS,
    });
  };
  if (fact.schemata === undefined) {
    mkdir("linux.intelRdt", "make the class", path);
    // A class with a name of its own may have others in it by the time that this container ends.
    if (own) made.push(path);
  }
  const text = schemataText(rdt);
  if (text !== "") {
    before.push({
      on: "host",
      field: "linux.intelRdt",
      about: `set the schemata of ${path}`,
      action: { do: "write", path: `${path}/schemata`, data: text, why },
      hints: SCHEMATA_HINTS,
    });
  }
  const tasks = [`${path}/tasks`];
  if (rdt.enableMonitoring === true) {
    const monitoring = `${path}/mon_groups/${id}`;
    mkdir("linux.intelRdt.enableMonitoring", "make the monitoring group", monitoring);
    made.push(monitoring);
    tasks.push(`${monitoring}/tasks`);
  }
  const group = { group: path, tasks, made };
  return { before, atPid: joinResctrlSteps(group, why), group };
}

/** Puts the container's process, or one that is executed in it, into the class and the monitoring group. */
export function joinResctrlSteps(group: ResctrlGroup | undefined, why?: string): HostStep[] {
  return (group?.tasks ?? []).map((path) => ({
    on: "host",
    field: "linux.intelRdt",
    about: `put the process into ${path.slice(0, -"/tasks".length)}`,
    action: { do: "write-pid", path, ...(why === undefined ? {} : { why }) },
  }));
}
