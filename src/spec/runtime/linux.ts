/**
 * `linux` of config.json, apart from its three large sections (config-linux.md).
 * Not here: resources (resources.ts), seccomp (seccomp.ts), devices and network devices (devices.ts).
 */
import * as v from "valibot";
import { lazy, map, object, optional, optionalText, repeatedType, rule } from "../builders.ts";
import { AbsolutePath, FilledText, Flag, Int64, integer, oneOf, Text, TextList } from "../scalars.ts";
import { LinuxDevice, NetDevices } from "./devices.ts";
import { IdMapping } from "./mounts.ts";
import { LinuxResources } from "./resources.ts";
import { CpuList } from "./scheduling.ts";
import { LinuxSeccomp } from "./seccomp.ts";

export const NAMESPACE_TYPES = ["mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time"] as const;
export type NamespaceType = (typeof NAMESPACE_TYPES)[number];

/** A namespace to join (`path`), or to make (no `path`). */
export const LinuxNamespace = lazy(() =>
  object({ type: oneOf(...NAMESPACE_TYPES), path: optionalText(AbsolutePath) }),
);
export type LinuxNamespace = v.InferOutput<typeof LinuxNamespace>;

const Namespaces = lazy(() =>
  v.pipe(
    v.array(LinuxNamespace),
    rule((namespaces, complain) => {
      const index = repeatedType(namespaces);
      if (index !== undefined)
        complain(`must be listed once only: ${namespaces[index]?.type}`, index, "type");
    }),
  ),
);

/** What a clock of the time namespace is ahead: seconds, and nanoseconds below one second. */
export const TimeOffset = lazy(() =>
  object({ secs: optional(Int64), nanosecs: optional(integer(0, 999_999_999)) }),
);
export type TimeOffset = v.InferOutput<typeof TimeOffset>;

const TimeOffsets = lazy(() => object({ boottime: optional(TimeOffset), monotonic: optional(TimeOffset) }));

const Line = v.pipe(
  Text,
  v.check((line) => !line.includes("\n"), "must not contain a newline"),
);

/** A group of the resctrl file system: one directory name, or `/` for its root. */
const ClosId = v.pipe(
  FilledText,
  v.check(
    (id) => id === "/" || (!id.includes("/") && id !== "." && id !== ".."),
    'must be a directory name, or "/" for the default class',
  ),
);

export const LinuxIntelRdt = lazy(() =>
  object({
    closID: optionalText(ClosId),
    schemata: optional(v.array(Line)),
    l3CacheSchema: optionalText(Line),
    memBwSchema: optionalText(
      v.pipe(
        Line,
        v.check((line) => line.startsWith("MB:"), 'must start with "MB:"'),
      ),
    ),
    enableMonitoring: optional(Flag),
  }),
);
export type LinuxIntelRdt = v.InferOutput<typeof LinuxIntelRdt>;

/** set_mempolicy(2). */
export const LinuxMemoryPolicy = lazy(() =>
  object({
    mode: oneOf(
      "MPOL_DEFAULT",
      "MPOL_BIND",
      "MPOL_INTERLEAVE",
      "MPOL_WEIGHTED_INTERLEAVE",
      "MPOL_PREFERRED",
      "MPOL_PREFERRED_MANY",
      "MPOL_LOCAL",
    ),
    nodes: optionalText(CpuList),
    flags: optional(v.array(oneOf("MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"))),
  }),
);
export type LinuxMemoryPolicy = v.InferOutput<typeof LinuxMemoryPolicy>;

/** personality(2). */
export const LinuxPersonality = lazy(() =>
  object({ domain: oneOf("LINUX", "LINUX32"), flags: optional(TextList) }),
);
export type LinuxPersonality = v.InferOutput<typeof LinuxPersonality>;

/** A name below /proc/sys, in dots (`net.ipv4.ip_forward`) or slashes. */
const SysctlName = v.pipe(
  FilledText,
  v.check(
    (name) => !name.startsWith("/") && !name.split("/").includes(".."),
    'must be a name below /proc/sys, such as "net.ipv4.ip_forward"',
  ),
);

/** The four of the specification, and their recursive forms, which runc takes and Docker writes. */
const RootfsPropagation = lazy(() =>
  oneOf("private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"),
);

export const Linux = lazy(() =>
  object({
    namespaces: optional(Namespaces),
    uidMappings: optional(v.array(IdMapping)),
    gidMappings: optional(v.array(IdMapping)),
    timeOffsets: optional(TimeOffsets),
    devices: optional(v.array(LinuxDevice)),
    netDevices: optional(NetDevices),
    cgroupsPath: optionalText(Text),
    resources: optional(LinuxResources),
    intelRdt: optional(LinuxIntelRdt),
    memoryPolicy: optional(LinuxMemoryPolicy),
    sysctl: optional(map(Text, SysctlName)),
    seccomp: optional(LinuxSeccomp),
    rootfsPropagation: optionalText(RootfsPropagation),
    maskedPaths: optional(TextList),
    readonlyPaths: optional(TextList),
    mountLabel: optionalText(Text),
    personality: optional(LinuxPersonality),
  }),
);
export type Linux = v.InferOutput<typeof Linux>;
