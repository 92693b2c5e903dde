/**
 * Versions of the runtime specification as documents state them. Not here: our own version (package.json).
 */
import * as v from "valibot";
import { consistsOf } from "./scalars.ts";

/** The first version whose config.json is accepted. */
export const OLDEST_CONFIG_VERSION = "1.0.0";

export { OCI_VERSION } from "./oci-version.ts";

/** SemVer 2.0.0, its own regular expression; most versions are told without it, as it is dear to compile. */
function isSemver(version: string): boolean {
  const [major, minor, patch, more] = version.split(".");
  const isPlain = isPlainNumber(major) && isPlainNumber(minor) && isPlainNumber(patch) && more === undefined;
  return isPlain || full().test(version);
}

function isPlainNumber(part: string | undefined): boolean {
  if (part === undefined || part === "") return false;
  return part === "0" || (consistsOf(part, "0123456789") && !part.startsWith("0"));
}

const full = () =>
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/**
 * Whether a document of that version means a pids limit of 0 as one: runtime-spec 1.3 says so. Before, 0 was Go's way of
 * leaving it out, and is what Podman before 5.5 writes for "no limit"; runc and crun of that time set nothing then.
 */
export function meansNoProcess(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 1 || minor >= 3;
}

/** Any SemVer 2.0.0 version: what a state or a features document may state. */
export const SpecVersion = v.pipe(
  v.string(),
  v.check((version) => isSemver(version), 'must be a semantic version such as "1.3.0"'),
);

/**
 * The version of a config.json. Every 1.x is accepted, newer minors and pre-releases (`1.0.2-dev`) included:
 * unknown properties are ignored, so a newer document is one that asks for things we do not know.
 */
export const ConfigVersion = v.pipe(
  SpecVersion,
  v.check((version) => version.startsWith("1."), "must be a 1.x version of the runtime specification"),
);
