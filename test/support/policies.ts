// Policies of security modules for the virtual machine, compiled on this host, which needs no such module for that.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "../../scripts/lib/run.ts";

const root = resolve(import.meta.dir, "../..");
const sources = join(root, "test/vm/policies");

/** Compiles AppArmor profiles of test/vm/policies to what is written to /sys/kernel/security/apparmor/.load. */
export function compileProfiles(name: string, out: string): string {
  const unpacked = join(root, "build/tools/sbin/apparmor_parser");
  const parser = Bun.which("apparmor_parser") ?? (existsSync(unpacked) ? unpacked : null);
  if (parser === null) throw new Error("apparmor_parser is missing: npm test unpacks it");
  run([parser, "--skip-kernel-load", "--skip-cache", "--ofile", out, join(sources, name)]);
  return out;
}

/** Compiles a SELinux policy of test/vm/policies to what is written to /sys/fs/selinux/load. */
export function compilePolicy(name: string, out: string): string {
  // 33: of Linux 5.14, which is the oldest kernel that counts here.
  run(["secilc", "--policyvers=33", "--output", out, "--filecontext", "/dev/null", join(sources, name)]);
  return out;
}
