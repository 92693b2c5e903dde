/**
 * Which certificate authorities a registry may have its certificate from: those built in, those of the configuration,
 * and, where these are not enough, the system's. Not here: the connection (http.ts).
 */
import type { CtrError } from "../../error.ts";
import { readTextIfAny } from "../../kernel/file.ts";

/** Certificate bundles of Debian, Fedora, SUSE and Alpine, in that order. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
const UNTRUSTED = new Set([
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
]);

/** Authorities for all connections of one client. */
export interface Trust {
  /** PEM; undefined: only those that are built in. */
  authorities(): string[] | undefined;
  /** Adds the system's bundle, which takes time to read; whether that changed anything. */
  addSystem(): Promise<boolean>;
}

export function createTrust(ca: string | undefined): Trust {
  let isSystemIn = false;
  let known: string[] | undefined;
  const ready = ca === undefined ? undefined : withBuiltIn([ca]);
  return {
    authorities: () => known ?? ready,
    async addSystem() {
      if (isSystemIn) return false;
      isSystemIn = true;
      const bundle = SYSTEM_BUNDLES.map((path) => readTextIfAny(path)).find((text) => text !== undefined);
      if (bundle === undefined) return false;
      known = withBuiltIn(ca === undefined ? [bundle] : [ca, bundle]);
      return true;
    },
  };
}

/** A list given to TLS takes the place of the built-in one, so both are given. */
function withBuiltIn(more: string[]): string[] {
  const { rootCertificates } = process.getBuiltinModule("node:tls");
  return [...more, ...rootCertificates];
}

/** Whether a certificate was refused only because nobody here knows who signed it. */
export function isUntrusted(error: CtrError): boolean {
  const { cause } = error;
  return cause instanceof Error && "code" in cause && UNTRUSTED.has(String(cause.code));
}
