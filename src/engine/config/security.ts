/**
 * `--security-opt` to what it asks for. Not here: the seccomp profile itself (seccomp.ts).
 */
import { fail } from "../../error.ts";

/** What of a container's confinement is asked for. */
export interface SecurityOptions {
  /** `default`: our own profile; `unconfined`: none; else the path of a file. */
  readonly seccomp: string;
  readonly noNewPrivileges: boolean;
  /** Whether /proc and /sys are shown as they are. */
  readonly systemPathsUnconfined: boolean;
}

/** All of them; of several for one thing, the last counts. */
export function parseSecurityOptions(texts: readonly string[]): SecurityOptions {
  let options: SecurityOptions = { seccomp: "default", noNewPrivileges: false, systemPathsUnconfined: false };
  for (const text of texts) {
    const [, key = text, value = ""] = /^([a-z-]+)[=:](.*)$/.exec(text) ?? [];
    if (key === "seccomp" && value !== "") {
      options = { ...options, seccomp: value === "builtin" ? "default" : value };
    } else if (key === "no-new-privileges" && /^(|true|false)$/.test(value)) {
      options = { ...options, noNewPrivileges: value !== "false" };
    } else if (key === "systempaths" && value === "unconfined") {
      options = { ...options, systemPathsUnconfined: true };
    } else if (!isNothing(key, value)) {
      throw fail({
        code: "INVALID_FLAG",
        field: "--security-opt",
        message: `${JSON.stringify(text)} is not known`,
        hint: "known: seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined",
      });
    }
  }
  return options;
}

/** Asks for what is so anyway: no container has an AppArmor profile or an SELinux label yet. */
function isNothing(key: string, value: string): boolean {
  return (key === "apparmor" && value === "unconfined") || (key === "label" && value === "disable");
}
