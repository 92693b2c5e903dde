/**
 * The whole of an OCI bundle's config.json for Linux (runtime-spec 1.3, config.md), and the place from which
 * the types of its parts are to be had. Not here: the parts themselves; windows, solaris, vm, zos, freebsd.
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText } from "../builders.ts";
import { FilledText, Flag, Text, TextMap } from "../scalars.ts";
import { ConfigVersion } from "../version.ts";
import { Hooks } from "./hooks.ts";
import { Linux } from "./linux.ts";
import { Mount } from "./mounts.ts";
import { Process } from "./process.ts";

/** The root file system; `path` is absolute, or relative to the bundle. */
export const Root = lazy(() => object({ path: FilledText, readonly: optional(Flag) }));
export type Root = v.InferOutput<typeof Root>;

/** config.json. `process` may be missing at create, and must be there at start. */
export const RuntimeConfig = lazy(() =>
  object({
    ociVersion: ConfigVersion,
    process: optional(Process),
    root: Root,
    hostname: optionalText(Text),
    domainname: optionalText(Text),
    mounts: optional(v.array(Mount)),
    hooks: optional(Hooks),
    annotations: optional(TextMap),
    linux: optional(Linux),
  }),
);
export type RuntimeConfig = v.InferOutput<typeof RuntimeConfig>;

export type { LinuxDevice, LinuxNetDevice } from "./devices.ts";
export type { Hook, Hooks } from "./hooks.ts";
export type {
  Linux,
  LinuxIntelRdt,
  LinuxMemoryPolicy,
  LinuxNamespace,
  LinuxPersonality,
  NamespaceType,
  TimeOffset,
} from "./linux.ts";
export type { IdMapping, Mount } from "./mounts.ts";
export type { Capabilities, Process, Rlimit, User } from "./process.ts";
export type {
  LinuxBlockIo,
  LinuxCpu,
  LinuxDeviceCgroup,
  LinuxHugepageLimit,
  LinuxMemory,
  LinuxNetwork,
  LinuxPids,
  LinuxRdma,
  LinuxResources,
  LinuxThrottleDevice,
  LinuxWeightDevice,
} from "./resources.ts";
export type { ExecCpuAffinity, IoPriority, Scheduler } from "./scheduling.ts";
export type {
  LinuxSeccomp,
  LinuxSyscall,
  LinuxSyscallArg,
  SeccompAction,
  SeccompArchitecture,
  SeccompFlag,
  SeccompOperator,
} from "./seccomp.ts";
