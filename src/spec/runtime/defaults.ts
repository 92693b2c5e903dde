/**
 * The config.json that the `spec` verb writes, for root and for an ordinary user, equal to that of runc.
 * Not here: turning an image into a configuration (engine).
 */
import { OCI_VERSION } from "../version.ts";
import type { Mount, RuntimeConfig } from "./config.ts";

const CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/** What of /proc and /sys shows or changes the host, and so is hidden from, or read-only in, a container. */
export const MASKED_PATHS: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
  "/proc/scsi",
];
export const READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/**
 * What `runc spec` writes: a shell on `rootfs`, read-only, with a terminal. Two things differ from runc
 * 1.1: the version, and /sys/devices/virtual/powercap is masked (CVE-2020-8694), as runc does since 1.2.
 * @param options.cgroupNamespace for a host that has cgroup v2 only: runc adds the namespace there.
 */
export function defaultSpec(options: { readonly cgroupNamespace?: boolean } = {}): RuntimeConfig {
  const set = () => [...CAPABILITIES];
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: set(), effective: set(), permitted: set(), ambient: set() },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "runc",
    mounts: [
      mount("proc", "/proc", "proc"),
      mount("tmpfs", "/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
      mount(
        "devpts",
        "/dev/pts",
        "devpts",
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
      ),
      mount("tmpfs", "/dev/shm", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
      mount("mqueue", "/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
      mount("sysfs", "/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
      mount("cgroup", "/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
    ],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: [
        { type: "pid" },
        { type: "network" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        ...(options.cgroupNamespace === true ? [{ type: "cgroup" } as const] : []),
      ],
      maskedPaths: [...MASKED_PATHS],
      readonlyPaths: [...READONLY_PATHS],
    },
  };
}

/**
 * What `runc spec --rootless` writes: a user namespace in which the caller is root, the host's network, no
 * limits, and /sys bound from the host, as an ordinary user may not mount a new one without a network
 * namespace of their own.
 * @param ids effective IDs of the caller.
 */
export function rootlessSpec(
  ids: { readonly uid: number; readonly gid: number },
  options: { readonly cgroupNamespace?: boolean } = {},
): RuntimeConfig {
  const spec = defaultSpec(options);
  const { resources: _none, namespaces = [], ...linux } = spec.linux ?? {};
  return {
    ...spec,
    mounts: (spec.mounts ?? []).map((entry) => {
      if (entry.destination === "/sys") {
        return mount("none", "/sys", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro");
      }
      // There is one group in the user namespace, and it is not tty.
      return entry.options === undefined
        ? entry
        : { ...entry, options: entry.options.filter((option) => !/^[ug]id=/.test(option)) };
    }),
    linux: {
      uidMappings: [{ containerID: 0, hostID: ids.uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: ids.gid, size: 1 }],
      namespaces: [...namespaces.filter(({ type }) => type !== "network"), { type: "user" }],
      ...linux,
    },
  };
}

function mount(type: string, destination: string, source: string, ...options: string[]): Mount {
  return { destination, type, source, ...(options.length > 0 ? { options } : {}) };
}
