/**
 * Architectures as people name them: uname(1)'s names, Go's, those in profiles. Not here: what they are (abi.ts).
 */
import type { Host } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import { type Abi, abisOf } from "./abi.ts";

const others: Readonly<Record<string, Abi["table"]>> = {
  amd64: "x86_64",
  x86: "i386",
  "386": "i386",
  i686: "i386",
  arm64: "aarch64",
  armv7l: "arm",
};

const hosts = ["x86_64", "aarch64"] as const satisfies readonly Host["arch"][];

function find(name: string): readonly [Host["arch"], Abi] {
  const plain = name.toLowerCase();
  for (const host of hosts) {
    for (const [scmp, abi] of abisOf(host)) {
      if (plain === abi.table || plain === scmp.toLowerCase() || others[plain] === abi.table)
        return [host, abi];
    }
  }
  throw fail({
    code: "USAGE",
    field: "--arch",
    message: `there is no architecture ${JSON.stringify(name)}`,
    hint: "x86_64, x86, x32, aarch64 or arm",
  });
}

/** @throws CtrError USAGE for a name that is not known. */
export function architectureOf(name: string): Abi {
  return find(name)[1];
}

/** The host that runs its programs. Throws as {@link architectureOf}. */
export function hostOf(name: string): Host["arch"] {
  return find(name)[0];
}
