/** `update ID`: other limits, from flags or from a file of `linux.resources`. */
import { asCtrError, type CtrError, fail } from "../../error.ts";
import { readAll, readText } from "../../kernel/file.ts";
import { type UpdateRequest, updateContainer } from "../../runtime/update.ts";
import { parseDocument, parseJson } from "../../spec/parse.ts";
import { LinuxResources } from "../../spec/runtime/resources.ts";
import type { FlagDef, Values } from "../argv.ts";
import { integerOf, sizeOf } from "./amounts.ts";
import { logWarning } from "./log.ts";
import { defineVerb } from "./verb.ts";

/** Flags by the property that they set. */
const PROPERTIES = {
  "blkio-weight": ["blockIO.weight", "unsigned", "weight for disks, from 10 to 1000"],
  "cpu-period": ["cpu.period", "unsigned", "microseconds in which --cpu-quota may be used"],
  "cpu-quota": ["cpu.quota", "signed", "microseconds of CPU time in each period; -1 for no limit"],
  "cpu-burst": ["cpu.burst", "unsigned", "microseconds of quota that may be saved up"],
  "cpu-share": ["cpu.shares", "unsigned", "weight for CPUs, from 2 to 262144"],
  "cpu-rt-period": ["cpu.realtimePeriod", "unsigned", "microseconds in which --cpu-rt-runtime may be used"],
  "cpu-rt-runtime": ["cpu.realtimeRuntime", "signed", "microseconds for realtime processes in each period"],
  "cpu-idle": ["cpu.idle", "signed", "1: only what CPU time no other wants"],
  "cpuset-cpus": ["cpu.cpus", "text", "CPUs to run on: 0-2,5"],
  "cpuset-mems": ["cpu.mems", "text", "memory nodes to use: 0,1"],
  memory: ["memory.limit", "size", "most memory: 512m; -1 for no limit"],
  "memory-reservation": ["memory.reservation", "size", "memory that is kept where it runs short"],
  "memory-swap": ["memory.swap", "size", "most memory and swap together; -1 for no limit"],
  "kernel-memory": ["memory.kernel", "size", "accepted as runc does: kernels no longer limit it"],
  "kernel-memory-tcp": ["memory.kernelTCP", "size", "most memory for buffers of TCP (cgroup v1)"],
  "pids-limit": ["pids.limit", "signed", "most processes and threads; -1 for no limit"],
} as const satisfies Record<string, readonly [property: string, kind: Kind, description: string]>;
type Kind = "unsigned" | "signed" | "size" | "text";
type Property = keyof typeof PROPERTIES;

const FLAGS = Object.fromEntries(
  Object.entries(PROPERTIES).map(([flag, [, , description]]) => [flag, { type: "string", description }]),
) as { readonly [F in Property]: FlagDef & { readonly type: "string"; readonly repeatable?: false } };

const ARGS = {
  resources: {
    type: "string",
    alias: "r",
    description: "JSON file of linux.resources, or - for standard input; other flags then do not count",
  },
  devices: {
    type: "boolean",
    description: "apply linux.resources.devices of the file too, in place of all rules; else devices stay",
  },
  ...FLAGS,
  "l3-cache-schema": { type: "string", description: "line for the L3 cache (Intel RDT)" },
  "mem-bw-schema": { type: "string", description: "line for memory bandwidth (Intel RDT)" },
  id: { type: "positional", description: "the container's ID" },
} as const;

/** `linux.resources` of the flags that were given. */
function resourcesOf(values: Values<typeof ARGS>): LinuxResources {
  const resources: Record<string, Record<string, unknown>> = {};
  for (const [flag, [property, kind]] of Object.entries(PROPERTIES)) {
    const text = values[flag as Property];
    // As for runc: the empty text changes nothing.
    if (text === undefined || text === "") continue;
    const [section = "", name = ""] = property.split(".");
    const value = kind === "text" ? text : kind === "size" ? sizeOf(text, flag) : integerOf(text, flag, kind);
    resources[section] = { ...resources[section], [name]: value };
  }
  return parseDocument(LinuxResources, resources, "update");
}

function readResources(file: string): LinuxResources {
  if (file === "-") return parseJson(LinuxResources, readAll(0, "standard input"), "standard input");
  return parseJson(LinuxResources, readText(file), file);
}

/** The flag in place of the property, for what came of a flag. */
function namingFlag(error: CtrError): CtrError {
  const property = error.field?.replace(/^linux\.resources\./, "");
  const found = Object.entries(PROPERTIES).find(([, [name]]) => name === property);
  if (found === undefined) return error;
  const { code, message, step, syscall, path, errno, hint, exitCode } = error;
  return fail({
    ...{ code, message, step, syscall, path, errno, hint, exitCode },
    field: `--${found[0]}`,
    cause: error.cause,
  });
}

/** Lines for the container's class of resctrl. */
function schemasOf(values: Values<typeof ARGS>): UpdateRequest["schemas"] {
  const l3CacheSchema = values["l3-cache-schema"];
  const memBwSchema = values["mem-bw-schema"];
  if (!l3CacheSchema && !memBwSchema) return undefined;
  return { ...(l3CacheSchema ? { l3CacheSchema } : {}), ...(memBwSchema ? { memBwSchema } : {}) };
}

export default defineVerb({
  name: "update",
  about: "change what a container is limited to",
  args: ARGS,
  async run(values, { root, registry, log }) {
    const { id, resources: file, devices } = values;
    const onWarning = (message: string): void => logWarning(message, log);
    const schemas = schemasOf(values);
    if (file !== undefined && file !== "") {
      updateContainer({ root, id, resources: readResources(file), devices, schemas, registry, onWarning });
      return 0;
    }
    if (devices) {
      throw fail({
        code: "INVALID_FLAG",
        field: "--devices",
        message: "no file is given that says which",
        hint: 'give one with --resources: {"devices": [{"allow": false}, ...]}',
      });
    }
    try {
      updateContainer({ root, id, resources: resourcesOf(values), schemas, registry, onWarning });
    } catch (thrown) {
      throw namingFlag(asCtrError(thrown));
    }
    return 0;
  },
});
