/** Which security modules are active (Host.lsm), also where securityfs is not mounted. */
import { readTextIfAny } from "../kernel/file.ts";

/** Their names as in /sys/kernel/security/lsm. SELinux counts only where a policy is loaded: before, nothing has a label. */
export function activeModules(): string[] {
  const listed = (readTextIfAny("/sys/kernel/security/lsm") ?? "").trim().split(",").filter(Boolean);
  const modules = new Set(listed);
  if (readTextIfAny("/sys/module/apparmor/parameters/enabled")?.startsWith("Y") === true)
    modules.add("apparmor");
  if (hasPolicy(listed)) modules.add("selinux");
  else modules.delete("selinux");
  return [...modules];
}

/** Without a policy every process has the label of the kernel's own first one. */
function hasPolicy(listed: readonly string[]): boolean {
  const found = listed.includes("selinux") || readTextIfAny("/sys/fs/selinux/enforce") !== undefined;
  if (!found) return false;
  const label = (readTextIfAny("/proc/self/attr/current") ?? "").replace(/[\0\n]+$/, "");
  return label !== "" && label !== "kernel";
}
