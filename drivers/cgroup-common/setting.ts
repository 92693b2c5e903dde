/**
 * One value for one file of a cgroup, as data: what controllers turn `linux.resources` into. A plan makes steps of it;
 * `update` writes it. Not here: which values there are (one file a controller).
 */
import type { Host } from "../../src/driver.ts";
import { type CtrError, fail } from "../../src/error.ts";
import { type CallContext, callError } from "../../src/kernel/check.ts";
import { ERRNO, type ErrnoName, errnoName } from "../../src/kernel/errno.ts";
import { tryWriteFile } from "../../src/kernel/file.ts";
import type { HostStep } from "../../src/plan/step.ts";
import type { LinuxResources } from "../../src/spec/runtime/resources.ts";

/** `data` is written with one write(2) to `file` of the cgroup's directory. */
export interface Setting {
  /** Below `linux.resources`: `memory.limit`. */
  readonly field: string;
  readonly file: string;
  readonly data: string;
  /** What is written instead where `file` does not exist. */
  readonly instead?: { readonly file: string; readonly data: string };
  /** Errnos that are no failure. */
  readonly allow?: readonly string[];
  /** What a person may do, by errno. */
  readonly hints?: Readonly<Partial<Record<ErrnoName, string>>>;
  /** Written only when the init's pid is known: before, the limit would hit the making of the init itself. */
  readonly late?: true;
}

/** The kernel's major and minor number: limits come and go with it. */
export type KernelVersion = Host["kernelVersion"];

/** One controller of one cgroup version. */
export interface Controller {
  /** As /proc/self/cgroup and cgroup.controllers spell it. */
  readonly name: string;
  /** In the order in which they fit a new cgroup. Throws where the values make no sense. `kernel`: default, a new one. */
  settings(resources: LinuxResources, kernel?: KernelVersion): readonly Setting[];
  /** What is asked for and is ignored here, and why. */
  warnings?(resources: LinuxResources, kernel?: KernelVersion): readonly string[];
  /** Where the order depends on the values that a running cgroup has; else the settings are written in order. */
  update?(directory: string, resources: LinuxResources, journal: Journal, kernel?: KernelVersion): void;
}

/** Writes settings of an update, and remembers what was there (journal.ts). */
export interface Journal {
  /** 0, or the errno (positive) of a write that the kernel refused. */
  attempt(directory: string, setting: Setting): number;
  /** As `attempt`, throwing an error that names field, file and reason. */
  set(directory: string, setting: Setting): void;
}

/** A host step that writes the setting into that directory. */
export function settingStep(driver: string, directory: string, setting: Setting): HostStep {
  const { file, data, allow, hints, instead } = setting;
  const path = `${directory}/${file}`;
  const step = {
    on: "host",
    field: `linux.resources.${setting.field}`,
    about: `set ${file} to ${data}`,
    ...(hints === undefined ? {} : { hints }),
  } as const;
  if (instead === undefined) {
    return { ...step, action: { do: "write", path, data, ...(allow === undefined ? {} : { allow }) } };
  }
  const args: WriteFirst = { directory, setting };
  return { ...step, action: { do: "driver", kind: "cgroup", name: driver, call: "write-setting", args } };
}

/** Arguments of the action `write-setting`: the setting's file, or the one to be taken where that is missing. */
export interface WriteFirst {
  readonly directory: string;
  readonly setting: Setting;
}

/** Writes one setting now; 0 or the errno (positive). An errno that it allows is 0. */
export function trySetting(directory: string, setting: Setting): number {
  let result = tryWriteFile(`${directory}/${setting.file}`, setting.data);
  if (result === -ERRNO.ENOENT && setting.instead !== undefined) {
    result = tryWriteFile(`${directory}/${setting.instead.file}`, setting.instead.data);
  }
  return result < 0 && setting.allow?.includes(errnoName(-result)) !== true ? -result : 0;
}

/** As {@link trySetting}, as a step of a plan: what could not be done is the step's to say. */
export function writeSetting(directory: string, setting: Setting): void {
  const errno = trySetting(directory, setting);
  if (errno !== 0) throw callError(errno, callOf(directory, setting, errno));
}

/** The error of a setting that the kernel refused. */
export function settingError(directory: string, setting: Setting, errno: number, message?: string): CtrError {
  const file = setting.instead?.file ?? setting.file;
  const call = callOf(directory, setting, errno);
  return callError(errno, { ...call, message: message ?? `cannot set ${file} to ${setting.data}` });
}

/** What the error of a write says, but for what could not be done. */
function callOf(directory: string, { field, file, instead, hints }: Setting, errno: number): CallContext {
  const tried = instead?.file ?? file;
  return {
    syscall: "write",
    path: `${directory}/${tried}`,
    field: `linux.resources.${field}`,
    hint: hints?.[errnoName(errno) as ErrnoName] ?? (errno === ERRNO.ENOENT ? missingHint(tried) : undefined),
  };
}

function missingHint(file: string): string {
  return `this kernel has no ${file}, or its controller is not enabled for this cgroup`;
}

/** The error of a value that makes no sense on any host. */
export function badValue(field: string, message: string, hint?: string): CtrError {
  return fail({ code: "INVALID_CONFIG", field: `linux.resources.${field}`, message, hint });
}
