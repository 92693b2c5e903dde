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
    if (driver.readProfile !== undefined) {
      return driver.readProfile(value, capabilities, host.arch, host.kernelVersion);
    }
    refuseConditions(text);
    return parseDocument(LinuxSeccompSchema, value, path);
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

/** Conditions that are not understood must not be ignored: the filter would be another one than was meant. */
function refuseConditions(text: string): void {
  const key = /"(archMap|includes|excludes|minKernel)"\s*:/.exec(text)?.[1];
  if (key === undefined) return;
  throw fail({
    code: "UNSUPPORTED",
    field: key,
    message: "the seccomp driver reads profiles in OCI's form only",
  });
}
