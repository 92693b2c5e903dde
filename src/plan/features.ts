/**
 * What a config.json may ask for, as `features` prints it (features.md, features-linux.md): from the tables that plans
 * are made with. It does not depend on the host: whether that can hold what is asked for, a plan says. Pure.
 */
import { CAPABILITIES } from "../kernel/capabilities.ts";
import { MPOL_FLAGS, MPOL_MODES } from "../kernel/constants.ts";
import { OCI_VERSION } from "../spec/oci-version.ts";
import type { Features } from "../spec/runtime/features.ts";
import { HOOK_NAMES } from "../spec/runtime/hooks.ts";
import { NAMESPACE_TYPES } from "../spec/runtime/linux.ts";
import {
  SECCOMP_ACTIONS,
  SECCOMP_ARCHITECTURES,
  SECCOMP_FLAGS,
  SECCOMP_OPERATORS,
} from "../spec/runtime/seccomp.ts";
import { OLDEST_CONFIG_VERSION } from "../spec/version.ts";
import { MEANINGFUL_ANNOTATIONS } from "./annotations.ts";
import { knownMountOptions } from "./mount-options.ts";

const sorted = (names: readonly string[]): string[] => [...names].sort();

/** @param cgroupDrivers names of the cgroup drivers that there are. */
export function features(cgroupDrivers: readonly string[]): Features {
  const systemd = cgroupDrivers.includes("systemd");
  const mountOptions = sorted(knownMountOptions());
  return {
    ociVersionMin: OLDEST_CONFIG_VERSION,
    ociVersionMax: OCI_VERSION,
    hooks: [...HOOK_NAMES],
    mountOptions,
    linux: {
      namespaces: sorted(NAMESPACE_TYPES),
      capabilities: [...CAPABILITIES],
      cgroup: {
        v1: cgroupDrivers.includes("v1"),
        v2: cgroupDrivers.includes("v2"),
        systemd,
        systemdUser: systemd,
        rdma: true,
      },
      seccomp: {
        enabled: true,
        actions: sorted(SECCOMP_ACTIONS),
        operators: sorted(SECCOMP_OPERATORS),
        archs: sorted(SECCOMP_ARCHITECTURES),
        knownFlags: sorted(SECCOMP_FLAGS),
        supportedFlags: sorted(SECCOMP_FLAGS),
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: true, schemata: true, monitoring: true },
      memoryPolicy: { modes: Object.keys(MPOL_MODES), flags: Object.keys(MPOL_FLAGS) },
      mountExtensions: { idmap: { enabled: mountOptions.includes("idmap") } },
      netDevices: { enabled: true },
    },
    potentiallyUnsafeConfigAnnotations: [...MEANINGFUL_ANNOTATIONS],
  };
}
