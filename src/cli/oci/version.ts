/** `--version`, in runc's lines: engines read them. */
import { OCI_VERSION } from "../../spec/oci-version.ts";

declare const CTR_BUN_VERSION: string | undefined;
declare const CTR_BUN_COMMIT: string | undefined;

/** Version of this build; `dev` where it was not built by scripts/build.ts. */
export function version(): string {
  return typeof CTR_BUN_VERSION === "undefined" ? "dev" : CTR_BUN_VERSION;
}

/** Commit of this build. */
export function commit(): string {
  return typeof CTR_BUN_COMMIT === "undefined" ? "unknown" : CTR_BUN_COMMIT;
}

/** Version, commit, and the version of the runtime specification. */
export function versionLines(): string {
  return `ctr-bun version ${version()}\ncommit: ${commit()}\nspec: ${OCI_VERSION}\nbun: ${Bun.version}\n`;
}
