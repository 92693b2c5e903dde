/** `linux.sysctl`: written through the container's own procfs by descriptor, never by a path of the image (R2). */

import { fail } from "../error.ts";
import {
  FSCONFIG_CMD_CREATE,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_CLOEXEC,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "../kernel/constants.ts";
import type { NamespaceType } from "../spec/runtime/config.ts";
import { hasNamespace, type PlanInput } from "./input.ts";
import { optionsOf } from "./mount-options.ts";
import { mountSlot } from "./mount-rows.ts";
import { row, slot, struct } from "./rows.ts";
import type { InitStep } from "./step.ts";

/** IPC sysctls that belong to the ipc namespace (ipc_namespaces(7)). */
const IPC = new Set(
  "kernel/msgmax kernel/msgmnb kernel/msgmni kernel/sem kernel/shmall kernel/shmmax kernel/shmmni kernel/shm_rmid_forced".split(
    " ",
  ),
);

/** Which new namespace a sysctl belongs to; undefined: it is the host's. */
function namespaceOf(path: string): NamespaceType | undefined {
  if (path.startsWith("net/")) return "network";
  if (IPC.has(path) || path.startsWith("fs/mqueue/")) return "ipc";
  if (path === "kernel/domainname" || path === "kernel/hostname") return "uts";
  return path.startsWith("user/") ? "user" : undefined;
}

/** `net.ipv4.conf.eth0/1.x` -> its path below /proc/sys (sysctl(8): dots and slashes change places). */
export function sysctlPath(name: string): string {
  const firstSlash = name.indexOf("/");
  const firstDot = name.indexOf(".");
  if (firstSlash >= 0 && (firstDot < 0 || firstSlash < firstDot)) return name;
  return name.replace(/[./]/g, (mark) => (mark === "." ? "/" : "."));
}

/** Refuses what would change the host, in runc's words, and what has a property of its own. */
function checkNamespace(input: PlanInput, name: string, path: string, field: string): void {
  const namespace = namespaceOf(path);
  const has = namespace !== undefined && hasNamespace(input, namespace);
  if (has && path !== "kernel/hostname") return;
  let why = "is not in a separate kernel namespace";
  let hint =
    namespace === undefined ? "set it on the host" : `add a new ${namespace} namespace to linux.namespaces`;
  if (has) {
    why = 'is not allowed as it conflicts with the OCI "hostname" field';
    hint = "give hostname instead";
  } else if (namespace === "network") why = "not allowed in host network namespace";
  else if (namespace === "ipc") why = "is not allowed in the hosts ipc namespace";
  throw fail({ code: "INVALID_CONFIG", field, message: `sysctl ${JSON.stringify(name)} ${why}`, hint });
}

/** Index of the procfs at /proc among the mounts, -1 for none: a bind mount there could hold anything. */
function procMount({ config, facts }: PlanInput): number {
  return (config.mounts ?? []).findLastIndex((mount, index) => {
    const { bind, remount } = optionsOf(mount);
    return mount.type === "proc" && !bind && !remount && facts.mounts[index]?.destination === "/proc";
  });
}

/** Steps that set all sysctls. */
export function sysctlSteps(input: PlanInput): InitStep[] {
  const { config } = input;
  const entries = Object.entries(config.linux?.sysctl ?? {});
  if (entries.length === 0) return [];
  const steps: InitStep[] = [];
  const at = procMount(input);
  let proc = mountSlot(at);
  if (at < 0) {
    proc = "proc.own";
    steps.push({
      on: "init",
      field: "linux.sysctl",
      about: "make a procfs of its own to write sysctls through",
      rows: [
        row("fsopen", ["proc", FSOPEN_CLOEXEC], { store: "fs" }),
        row("fsconfig", [slot("fs"), FSCONFIG_CMD_CREATE, 0, 0, 0]),
        row("fsmount", [slot("fs"), FSMOUNT_CLOEXEC, 0], { store: proc }),
      ],
    });
  }
  // What may be mounted over a part of /proc is no sysctl (CVE-2025-52881).
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (const [name, value] of entries) {
    const path = sysctlPath(name);
    const field = `linux.sysctl[${JSON.stringify(name)}]`;
    if (path.split("/").some((part) => part === "" || part === "." || part === "..")) {
      throw fail({
        code: "INVALID_CONFIG",
        field,
        message: `${name} is not the name of a sysctl: it leads to ${JSON.stringify(path)} in /proc/sys`,
      });
    }
    checkNamespace(input, name, path, field);
    const bytes = new TextEncoder().encode(value);
    steps.push({
      on: "init",
      field,
      about: `set ${name} to ${value}`,
      path: `/proc/sys/${path}`,
      rows: [
        row("openat2", [slot(proc), `sys/${path}`, { bytes: struct(O_WRONLY | O_CLOEXEC, 0, resolve) }, 24], {
          store: "sysctl",
        }),
        row("write", [slot("sysctl"), { bytes }, bytes.byteLength]),
        row("close", [slot("sysctl")]),
      ],
      hints: {
        ENOENT: "this kernel has no such sysctl",
        EINVAL: "the kernel refuses this value",
        EACCES: "it can only be read, or the container's root does not own it",
        EPERM:
          "writing it takes rights in the host's user namespace, or a capability that ctr-bun does not have",
      },
    });
  }
  return steps;
}
