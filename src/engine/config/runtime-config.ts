/**
 * The config.json of an engine container, put together from parts that are decided already.
 * Not here: deciding them (the other files of this folder).
 */

import { OCI_VERSION } from "../../spec/oci-version.ts";
import type {
  LinuxDevice,
  LinuxDeviceCgroup,
  LinuxNamespace,
  LinuxResources,
  LinuxSeccomp,
  Mount,
  Rlimit,
  RuntimeConfig,
} from "../../spec/runtime/config.ts";
import { MASKED_PATHS, READONLY_PATHS } from "../../spec/runtime/defaults.ts";
import { capabilitySets } from "./capabilities.ts";
import type { ResolvedUser } from "./user.ts";

/** Everything that a container's config.json depends on. */
export interface ContainerParts {
  /** Absolute path of the root file system, mounted. */
  readonly rootfs: string;
  readonly readonlyRoot: boolean;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ResolvedUser;
  readonly terminal: boolean;
  readonly hostname: string | undefined;
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly seccomp: LinuxSeccomp | undefined;
  /** Whether /proc and /sys are shown as they are. */
  readonly systemPathsUnconfined: boolean;
  readonly network: NetworkNamespace;
  readonly mounts: readonly Mount[];
  readonly devices: readonly LinuxDevice[];
  readonly deviceRules: readonly LinuxDeviceCgroup[];
  readonly limits: Omit<LinuxResources, "devices">;
  /** Whether it has a cgroup namespace of its own. */
  readonly ownCgroupNamespace: boolean;
  readonly cgroupsPath: string | undefined;
  readonly oomScoreAdj: number | undefined;
  readonly rlimits: readonly Rlimit[];
}

/** A network namespace of its own, the host's, or one at a path. */
export type NetworkNamespace =
  | { readonly kind: "none" }
  | { readonly kind: "host" }
  | { readonly kind: "path"; readonly path: string };

/** What an unprivileged program may do in a network namespace that it has to itself: Docker's settings. */
const OWN_NETWORK_SYSCTLS: Readonly<Record<string, string>> = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
};

/** /proc/interrupts tells when others type: masked as Docker does it. */
const ENGINE_MASKED_PATHS = [...MASKED_PATHS, "/proc/interrupts"];

/** A complete config.json, of the same class as the one Docker writes. */
export function buildRuntimeConfig(parts: ContainerParts): RuntimeConfig {
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: parts.terminal,
      user: {
        uid: parts.user.uid,
        gid: parts.user.gid,
        additionalGids: [...parts.user.additionalGids],
      },
      args: [...parts.args],
      env: [...parts.env],
      cwd: parts.cwd,
      capabilities: capabilitySets(parts.capabilities, parts.user.uid),
      noNewPrivileges: parts.noNewPrivileges,
      rlimits: [...parts.rlimits],
      ...(parts.oomScoreAdj === undefined ? {} : { oomScoreAdj: parts.oomScoreAdj }),
    },
    root: { path: parts.rootfs, readonly: parts.readonlyRoot },
    ...(parts.hostname === undefined ? {} : { hostname: parts.hostname }),
    mounts: [...parts.mounts],
    linux: {
      namespaces: namespaces(parts.network, parts.ownCgroupNamespace),
      ...(parts.cgroupsPath === undefined ? {} : { cgroupsPath: parts.cgroupsPath }),
      ...(parts.network.kind === "none" ? { sysctl: { ...OWN_NETWORK_SYSCTLS } } : {}),
      devices: [...parts.devices],
      resources: { devices: [...parts.deviceRules], ...parts.limits },
      ...(parts.seccomp === undefined ? {} : { seccomp: parts.seccomp }),
      maskedPaths: parts.systemPathsUnconfined ? [] : [...ENGINE_MASKED_PATHS],
      readonlyPaths: parts.systemPathsUnconfined ? [] : [...READONLY_PATHS],
    },
  };
}

function namespaces(network: NetworkNamespace, ownCgroup: boolean): LinuxNamespace[] {
  const own: LinuxNamespace[] = [{ type: "mount" }, { type: "pid" }, { type: "ipc" }, { type: "uts" }];
  if (ownCgroup) own.push({ type: "cgroup" });
  if (network.kind === "none") own.push({ type: "network" });
  if (network.kind === "path") own.push({ type: "network", path: network.path });
  return own;
}
