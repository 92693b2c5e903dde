/**
 * Rule R6: which token server a registry may send us to, and whether it may see the registry's credentials.
 * Not here: talking to it (token.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import { isLoopback } from "./endpoint.ts";
import { plain } from "./errors.ts";

/** What decides about a realm. */
export interface RealmQuestion {
  readonly registry: string;
  /** Base URL that the challenge came from. */
  readonly endpoint: URL;
  /** As the registry wrote it. */
  readonly realm: string;
  /** A stored credential would go there. */
  readonly hasCredential: boolean;
  /** Hosts that the configuration names for this registry. */
  readonly trusted: readonly string[];
}

/**
 * The realm's URL, if it may be asked. Always: https, or http on loopback if the registry is plain http on loopback
 * too. With a credential: the same host on any port, the same registrable domain, or named in the configuration.
 * Without one, any host by name: nothing of ours goes there.
 * @throws CtrError BAD_REALM that names the realm and the setting.
 */
export async function checkRealm(question: RealmQuestion): Promise<URL> {
  const { registry, endpoint, realm, hasCredential, trusted } = question;
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined) throw refused(question, "which is not a URL");
  if (url.username !== "" || url.password !== "") throw refused(question, "which has a user name in it");
  const isSameHost = url.hostname === endpoint.hostname;
  const isPlainAllowed =
    endpoint.protocol === "http:" && url.protocol === "http:" && (isSameHost || bothLoopback(url, endpoint));
  if (url.protocol !== "https:" && !isPlainAllowed) throw refused(question, "which does not keep to https");
  if (isSameHost || bothLoopback(url, endpoint) || isNamed(url, trusted)) return url;
  if (isAddress(url) || isLoopback(url)) throw refused(question, "which is not the registry's own host");
  if (!hasCredential) return url;
  if (await isSameDomain(url.hostname, endpoint.hostname, registry)) return url;
  throw refused(question, "which is of another domain, and must not see the registry's credentials");
}

function bothLoopback(one: URL, other: URL): boolean {
  return isLoopback(one) && isLoopback(other);
}

function isNamed(url: URL, trusted: readonly string[]): boolean {
  return trusted.some((host) => host === url.host || host === url.hostname);
}

function isAddress(url: URL): boolean {
  return /^(?:\[.*\]|[\d.]+)$/.test(url.hostname);
}

/** By the public suffix list, its private part too: `a.github.io` and `b.github.io` are strangers. */
async function isSameDomain(realm: string, endpoint: string, registry: string): Promise<boolean> {
  // Loaded here, and only when a realm is on another host: the list takes 20 ms to read.
  const { getDomain } = await import("tldts");
  const domainOf = (host: string) => getDomain(host, { allowPrivateDomains: true });
  const domain = domainOf(realm);
  if (domain === null) return false;
  return domain === domainOf(endpoint) || domain === domainOf(registry.replace(/:\d+$/, ""));
}

function refused({ registry, realm, trusted }: RealmQuestion, why: string): CtrError {
  const host = URL.canParse(realm) ? new URL(realm).host : undefined;
  const list = JSON.stringify([...trusted, host ?? "HOST"]);
  return fail({
    code: "BAD_REALM",
    message: `registry ${registry} sends to the token server ${JSON.stringify(plain(realm))}, ${why}`,
    hint: `if you trust it, name it in the configuration: [registries.${JSON.stringify(registry)}] realms = ${list}`,
  });
}
