/**
 * What `features` prints: what a runtime can do (features.md, features-linux.md).
 * Not here: what ours can do.
 */
import * as v from "valibot";
import { lazy, object, optional } from "../builders.ts";
import { Flag, PlainText, TextMap } from "../scalars.ts";
import { SpecVersion } from "../version.ts";

/**
 * Names are plain strings throughout: a peer of a later version may know more namespaces, actions or
 * architectures than we do, and its answer is still a good one.
 */
const Names = v.array(PlainText);

export const LinuxFeatures = lazy(() => {
  const names = optional(Names);
  const flag = optional(Flag);
  const enabled = optional(object({ enabled: flag }));
  return object({
    namespaces: names,
    capabilities: names,
    cgroup: optional(object({ v1: flag, v2: flag, systemd: flag, systemdUser: flag, rdma: flag })),
    seccomp: optional(
      object({
        enabled: flag,
        actions: names,
        operators: names,
        archs: names,
        knownFlags: names,
        supportedFlags: names,
      }),
    ),
    apparmor: enabled,
    selinux: enabled,
    intelRdt: optional(object({ enabled: flag, schemata: flag, monitoring: flag })),
    memoryPolicy: optional(object({ modes: names, flags: names })),
    mountExtensions: optional(object({ idmap: enabled })),
    netDevices: enabled,
  });
});
export type LinuxFeatures = v.InferOutput<typeof LinuxFeatures>;

export const Features = lazy(() =>
  object({
    ociVersionMin: SpecVersion,
    ociVersionMax: SpecVersion,
    hooks: optional(Names),
    mountOptions: optional(Names),
    annotations: optional(TextMap),
    potentiallyUnsafeConfigAnnotations: optional(Names),
    linux: optional(LinuxFeatures),
  }),
);
export type Features = v.InferOutput<typeof Features>;
