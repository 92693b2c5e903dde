/**
 * The seccomp profile of a container: the default one, a file's, or none.
 * Not here: what profiles mean (the seccomp driver).
 */
import type { SeccompDriver } from "../driver.ts";
import { asCtrError, fail } from "../error.ts";
import { readJson } from "../spec/json.ts";
import { parseDocument } from "../spec/parse.ts";
import type { LinuxSeccomp } from "../spec/runtime/config.ts";
import { LinuxSeccomp as LinuxSeccompSchema } from "../spec/runtime/seccomp.ts";
import type { Engine } from "./engine.ts";
import { readHostFile } from "./files.ts";

/** A driver that reads the form in which Docker and Podman keep profiles, with conditions in it. */
interface ProfileReader {
  readProfile?(
    profile: unknown,
    capabilities: readonly string[],
    arch: Engine["host"]["arch"],
    kernel: Engine["host"]["kernelVersion"],
  ): LinuxSeccomp;
}

/** The profile for linux.seccomp; undefined for none. */
export function seccompProfile(
  engine: Engine,
  choice: string,
  capabilities: readonly string[],
): LinuxSeccomp | undefined {
  if (choice === "unconfined") return undefined;
  const { registry, host, cwd } = engine;
  const driver: SeccompDriver & ProfileReader = registry.choose("seccomp", host);
  if (choice === "default") return driver.defaultProfile(capabilities, host.arch);
  const path = choice.startsWith("/") ? choice : `${cwd}/${choice}`;
  const text = readHostFile(path, "--security-opt seccomp");
  try {
    const value = readJson(text);
    return driver.readProfile === undefined
      ? parseDocument(LinuxSeccompSchema, value, path)
      : driver.readProfile(value, capabilities, host.arch, host.kernelVersion);
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
