/**
 * Profiles as people name them to `ctr-bun seccomp`: a file, standard input, a bundle, `default`.
 * Not here: what profiles mean (the seccomp driver), the profile of a container (seccomp.ts).
 */

import type { Host, SeccompDriver, SeccompSource, SeccompWorkbench } from "../driver.ts";
import { asCtrError, type CtrError, errorFields, fail } from "../error.ts";
import { O_RDONLY, S_IFDIR } from "../kernel/constants.ts";
import { open, readAll, statusOf, withFd } from "../kernel/file.ts";
import { SOCK_FILTER_SIZE } from "../kernel/seccomp.ts";
import { jsonFault, readJson } from "../spec/json.ts";
import { jsonLine } from "../spec/json-line.ts";
import { MAX_DOCUMENT_BYTES } from "../spec/parse.ts";
import type { Engine } from "./engine.ts";
import { absolutePath } from "./path.ts";

/** For which container, on which host, a profile is read. */
export interface SeccompFor {
  readonly capabilities: readonly string[];
  readonly arch: Host["arch"];
  readonly kernel: Host["kernelVersion"];
}

/** A profile that was read. */
export interface NamedProfile extends SeccompSource {
  /** As the person called it. */
  readonly name: string;
  /** `syscalls[3], line 74` for a rule's place. */
  at(place: string): string;
}

/** What a file holds: a profile, or a filter that is compiled already. */
export type ProfileOrFilter =
  | { readonly profile: NamedProfile }
  | { readonly filter: Uint8Array; readonly name: string };

/** The driver, and what people look at profiles with. @throws CtrError NO_DRIVER where a user's driver has no such thing. */
export function seccompTools({ registry, host }: Engine): {
  driver: SeccompDriver;
  workbench: SeccompWorkbench;
} {
  const driver = registry.choose("seccomp", host);
  const workbench = driver.workbench?.();
  if (workbench !== undefined) return { driver, workbench };
  throw fail({
    code: "NO_DRIVER",
    message: `the seccomp driver ${JSON.stringify(driver.name)} has no workbench: it can compile, and nothing else`,
    hint: "leave --driver out, or give the driver a workbench() (src/driver.ts)",
  });
}

/** A bounding set for reading profiles: of a container that this host need not be able to run. */
export const ANY_HOST = (1n << 64n) - 1n;

/**
 * Reads a profile: `default`, `-` for standard input, a directory with a config.json, or a file: a whole config.json,
 * a profile of OCI's or of Docker's form.
 * @throws CtrError with the profile's name, and the place in it.
 */
export function readProfile(engine: Engine, name: string, of: SeccompFor): NamedProfile {
  const read = readProfileOrFilter(engine, name, of);
  if ("profile" in read) return read.profile;
  throw fail({
    code: "INVALID_CONFIG",
    field: name,
    message: "is a compiled filter, and not the profile that it was made of",
    hint: `ctr-bun seccomp disasm ${name} shows it`,
  });
}

/** As {@link readProfile}; the file may also hold struct sock_filter[]. */
export function readProfileOrFilter(engine: Engine, name: string, of: SeccompFor): ProfileOrFilter {
  if (name === "default") {
    const { driver, workbench } = seccompTools(engine);
    const profile = driver.defaultProfile(of.capabilities, of.arch);
    const source = workbench.read(profile, of.capabilities, of.arch, of.kernel, "");
    return { profile: { ...source, name, at: (place) => place } };
  }
  if (name === "-") return judge(engine, "standard input", readAll(0, undefined, MAX_DOCUMENT_BYTES), of);
  return judge(engine, name, fileOf(engine, name), of);
}

/** Tells by its bytes what was read. */
function judge(engine: Engine, name: string, bytes: Uint8Array, of: SeccompFor): ProfileOrFilter {
  if (looksLikeText(bytes)) return { profile: fromText(engine, name, textOf(bytes, name), of) };
  if (bytes.byteLength > 0 && bytes.byteLength % SOCK_FILTER_SIZE === 0) return { filter: bytes, name };
  throw fail({
    code: "INVALID_CONFIG",
    field: name,
    message: "is neither a profile (JSON) nor a filter (struct sock_filter[], 8 bytes each)",
  });
}

function fileOf({ cwd }: Engine, name: string): Uint8Array {
  const path = absolutePath(name, cwd);
  const status = statusOf(path);
  if (status === undefined) {
    throw fail({
      code: "NOT_FOUND",
      message: "there is no such profile",
      path,
      hint: "a file, a bundle, - for standard input, or default for ctr-bun's own",
    });
  }
  const file = status.type === S_IFDIR ? `${path}/config.json` : path;
  return withFd(open(file, O_RDONLY), (fd) => readAll(fd, file, MAX_DOCUMENT_BYTES));
}

/** Whether the first byte that is no space begins a JSON object. No instruction of a filter has that code. */
function looksLikeText(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
  return first === 0x7b;
}

function textOf(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw fail({ code: "INVALID_CONFIG", field: name, message: "is not valid UTF-8", cause });
  }
}

function fromText(engine: Engine, name: string, text: string, of: SeccompFor): NamedProfile {
  const whole = documentOf(text, name);
  const isConfig = "linux" in whole || "ociVersion" in whole;
  const prefix = isConfig ? "linux.seccomp." : "";
  const document = isConfig ? seccompOf(whole, name) : whole;
  const { workbench } = seccompTools(engine);
  try {
    const source = workbench.read(document, of.capabilities, of.arch, of.kernel, prefix);
    return { ...source, name, at: (place) => withLine(place, text) };
  } catch (thrown) {
    const { message, field, code } = asCtrError(thrown);
    const where = field === undefined ? name : `${name}: ${prefix}${field}`;
    throw fail({ code, field: where, message, cause: thrown });
  }
}

function documentOf(text: string, name: string): object {
  let value: unknown;
  try {
    value = readJson(text);
  } catch (cause) {
    const fault = cause instanceof SyntaxError ? jsonFault(text) : undefined;
    throw fail({
      code: "INVALID_CONFIG",
      field: fault === undefined ? name : `${name}:${fault.line}:${fault.column}`,
      message: fault === undefined ? "JSON is nested too deeply" : `not valid JSON: ${fault.message}`,
      cause,
    });
  }
  return value as object;
}

function seccompOf(config: object, name: string): unknown {
  const linux: unknown = "linux" in config ? config.linux : undefined;
  const seccomp: unknown =
    typeof linux === "object" && linux !== null && "seccomp" in linux ? linux.seccomp : undefined;
  if (seccomp !== undefined && seccomp !== null) return seccomp;
  throw fail({
    code: "INVALID_CONFIG",
    field: `${name}: linux.seccomp`,
    message: "is not there: this container makes all calls",
  });
}

/** `linux.seccomp.syscalls[3], line 74` */
function withLine(place: string, text: string): string {
  const path = place.split(/[.[\]]+/).filter((part) => part !== "");
  const line = jsonLine(
    text,
    path.map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
  );
  return line === undefined ? place : `${place}, line ${line}`;
}

/** An error of a profile's rules, with where they stand in what the profile was read from. */
export function inProfile(thrown: unknown, { name, places }: NamedProfile): CtrError {
  const error = asCtrError(thrown);
  if (error.code !== "SECCOMP") return error;
  const placed = (text: string): string =>
    text.replaceAll(/linux\.seccomp\.syscalls\[(\d+)\]/g, (whole, index) => places[Number(index)] ?? whole);
  const field = error.field === undefined ? name : `${name}: ${placed(error.field)}`;
  return fail({
    ...errorFields(error),
    code: error.code,
    field,
    message: placed(error.message),
    cause: error,
  });
}
