/**
 * `ctr-bun version`: what this is, for people and for bug reports.
 */

import { release } from "node:os";
import { print } from "../kernel/output.ts";
import { OCI_VERSION } from "../spec/oci-version.ts";
import { verb } from "./command.ts";
import { formatAll } from "./format.ts";

/** Stamped in by the build; run from source there are none. */
declare const CTR_BUN_VERSION: string | undefined;
declare const CTR_BUN_COMMIT: string | undefined;

export default verb({
  name: "version",
  description: "Show the version",
  usage: "[OPTIONS]",
  args: {
    format: {
      type: "string",
      alias: "f",
      valueHint: "FORMAT",
      description: "json, or a template: {{.Version}}",
    },
  },
  async run({ format }) {
    const facts = {
      Version: typeof CTR_BUN_VERSION === "string" ? CTR_BUN_VERSION : "source",
      Commit: typeof CTR_BUN_COMMIT === "string" ? CTR_BUN_COMMIT : "",
      Spec: OCI_VERSION,
      Bun: Bun.version,
      Kernel: release(),
      Arch: process.arch === "arm64" ? "arm64" : "amd64",
    };
    if (format !== undefined) {
      print(formatAll([facts], format, "version"));
      return 0;
    }
    const lines = [
      `ctr-bun version ${facts.Version}`,
      ...(facts.Commit === "" ? [] : [`commit: ${facts.Commit}`]),
      `spec: ${facts.Spec}`,
      `bun: ${facts.Bun}`,
      `kernel: ${facts.Kernel} ${facts.Arch}`,
    ];
    print(`${lines.join("\n")}\n`);
    return 0;
  },
});
