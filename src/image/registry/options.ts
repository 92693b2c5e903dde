/**
 * How registries are to be talked to: what a person or the configuration can set. Not here: doing it.
 */

/** User name and password for a registry, or an identity token in place of both. */
export type Credential =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly registryToken: string };

/** All may be left out. */
export interface RegistryOptions {
  /** Http without TLS, whatever the host. Loopback hosts without TLS need no leave. */
  readonly plainHttp?: boolean | undefined;
  /** Files with credentials, first one wins. Default: Docker's config.json, then Podman's auth.json. */
  readonly authFiles?: readonly string[] | undefined;
  /** Instead of any file: `--creds USER:PASSWORD`. */
  readonly credential?: Credential | undefined;
  /** Registry to hosts of token servers that may get its credentials though they are of another domain (R6). */
  readonly trustedRealms?: Readonly<Record<string, readonly string[]>> | undefined;
  /** PEM certificates to trust besides the system's. */
  readonly ca?: string | undefined;
  readonly limits?: Partial<RegistryLimits> | undefined;
}

/** Times in milliseconds. */
export interface RegistryLimits {
  /** Until the head of an answer has come. */
  readonly answerTimeout: number;
  /** Without a single byte while a body comes. */
  readonly stallTimeout: number;
  /** Tries of one request, the first included. */
  readonly tries: number;
  /** Before the second try; doubled for each further one. */
  readonly backoff: number;
  /** Longest pause between tries, whatever Retry-After says. */
  readonly longestPause: number;
}

export const DEFAULT_LIMITS: RegistryLimits = {
  answerTimeout: 30_000,
  stallTimeout: 30_000,
  tries: 5,
  backoff: 300,
  longestPause: 30_000,
};
