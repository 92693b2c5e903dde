/**
 * Whether a container's process may set its groups: where a user namespace's groups were mapped without CAP_SETGID, no
 * one in it ever may (user_namespaces(7), "/proc/PID/setgroups"). Pure.
 */
import type { Host } from "../driver.ts";
import { fail } from "../error.ts";
import type { Linux, Process } from "../spec/runtime/config.ts";
import { isOwnAlone } from "./user-maps.ts";

/** `unknown`: the namespace is joined, and the kernel's EPERM tells. */
export type Setgroups = "allowed" | "denied" | "unknown";

/** In the namespaces that a new container has. */
export function setgroupsOf(linux: Linux | undefined, host: Host): Setgroups {
  if (host.setgroupsDenied === true) return "denied";
  const user = linux?.namespaces?.find(({ type }) => type === "user");
  if (user === undefined) return "allowed";
  if (user.path !== undefined) return "unknown";
  return host.unprivileged === true && isOwnAlone(linux?.gidMappings ?? [], host.gid) ? "denied" : "allowed";
}

/** Refuses groups that cannot be had, as runc does. */
export function refuseGroups({ user }: Process, setgroups: Setgroups): void {
  if (setgroups !== "denied" || (user.additionalGids ?? []).length === 0) return;
  throw fail({
    code: "UNSUPPORTED",
    field: "process.user.additionalGids",
    message: "cannot be set: in this user namespace setgroups is denied",
    hint: "leave them out, or map more than your own group in linux.gidMappings, which takes newgidmap and a range in /etc/subgid",
  });
}
