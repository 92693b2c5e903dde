/** What every verb of the OCI level works with: the state root, the log, the drivers, the host, the bundle. */
import { builtinRegistry } from "../../builtin-drivers.ts";
import type { DriverRegistry, Host } from "../../driver.ts";
import { fail } from "../../error.ts";
import { readTextIfAny } from "../../kernel/file.ts";
import { probeHost } from "../../runtime/host.ts";
import { parseJson } from "../../spec/parse.ts";
import { RuntimeConfig } from "../../spec/runtime/config.ts";
import type { LogOptions } from "./log.ts";

export interface OciContext {
  /** State root (--root). */
  readonly root: string;
  readonly log: LogOptions;
  /** Containers get no cgroup (crun's --cgroup-manager disabled). */
  readonly noCgroup: boolean;
  /** Name of the cgroup driver that was asked for. */
  readonly cgroupDriver: string | undefined;
  readonly registry: DriverRegistry;
  readonly host: Host;
}

export function createContext(
  root: string,
  log: LogOptions,
  noCgroup = false,
  cgroupDriver?: string,
): OciContext {
  let host: Host | undefined;
  return {
    root,
    log,
    noCgroup,
    cgroupDriver,
    registry: builtinRegistry(),
    get host() {
      host ??= probeHost();
      return host;
    },
  };
}

/** The absolute path of a bundle, as given with --bundle; the working directory where it was not. */
export function bundlePath(given: string | undefined): string {
  return absolute(given ?? ".");
}

/** A path against the working directory, without `.` and `..`. */
export function absolute(path: string): string {
  const parts: string[] = [];
  for (const part of `${path.startsWith("/") ? "" : `${process.cwd()}/`}${path}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Reads and checks a bundle's config.json, or `file`, below the bundle unless absolute, in its place (crun's --config). */
export function readBundle(bundle: string, file = "config.json"): RuntimeConfig {
  const path = file.startsWith("/") ? file : `${bundle}/${file}`;
  const text = readTextIfAny(path);
  if (text === undefined) {
    throw fail({
      code: "NOT_FOUND",
      message: `JSON specification file ${file} not found`,
      path,
      errno: "ENOENT",
      hint: "give the bundle's directory with --bundle; `ctr-bun spec` writes a config.json to begin with",
    });
  }
  return parseJson(RuntimeConfig, text, path);
}
