/**
 * The seccomp profile of a container: the default one, a file's, or none.
 * Not here: what profiles mean (the seccomp driver).
 */

import { asCtrError, fail } from "../error.ts";
import { readJson } from "../spec/json.ts";
import type { LinuxSeccomp } from "../spec/runtime/config.ts";
import type { Engine } from "./engine.ts";
import { readHostFile } from "./files.ts";
import { absolutePath } from "./path.ts";

/** The profile for linux.seccomp; undefined for none. */
export function seccompProfile(
  engine: Engine,
  choice: string,
  capabilities: readonly string[],
): LinuxSeccomp | undefined {
  if (choice === "unconfined") return undefined;
  const { registry, host, cwd } = engine;
  const driver = registry.choose("seccomp", host);
  if (choice === "default") return driver.defaultProfile(capabilities, host.arch);
  const path = absolutePath(choice, cwd);
  const text = readHostFile(path, "--security-opt seccomp");
  try {
    const value = readJson(text);
    return driver.readProfile(value, capabilities, host.arch, host.kernelVersion);
  } catch (cause) {
    const { message, field } = asCtrError(cause);
    throw fail({
      code: "INVALID_FLAG",
      field: "--security-opt seccomp",
      message: `not a seccomp profile: ${field === undefined ? "" : `${field}: `}${message}`,
      path,
      cause,
    });
  }
}
