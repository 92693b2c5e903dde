/**
 * Who we are to one registry: answers its challenges with what is stored, and keeps the answer for further requests.
 * Not here: finding what is stored (credentials.ts), the rule for token servers (realm.ts).
 */
import { fail } from "../../error.ts";
import { parseChallenges } from "./challenge.ts";
import { findCredential } from "./credentials.ts";
import type { RequestContext } from "./http.ts";
import type { Credential, RegistryOptions } from "./options.ts";
import { checkRealm } from "./realm.ts";
import { basicAuthorization, fetchToken } from "./token.ts";

/** Authorization for one repository of one registry. */
export interface Authenticator {
  /** Header for the next request, as far as is known. */
  current(): string | undefined;
  /**
   * Answers a 401 that a request with `used` as its header got. Whether a new header is there to try.
   * @throws CtrError BAD_REALM, UNAUTHORIZED, CREDENTIAL_HELPER, ...
   */
  answer(challenge: string, used: string | undefined, context: RequestContext): Promise<boolean>;
}

/** Makes an {@link Authenticator}; nothing is read before a registry asks. */
export function createAuthenticator(
  registry: string,
  repository: string,
  endpoint: () => URL,
  options: RegistryOptions,
): Authenticator {
  let header: string | undefined;
  let stored: Promise<Credential | undefined> | undefined;
  let underWay: Promise<string | undefined> | undefined;
  const credential = () => {
    stored ??=
      options.credential === undefined
        ? findCredential(registry, repository, options.authFiles)
        : Promise.resolve(options.credential);
    return stored;
  };

  async function solve(text: string, used: string | undefined, context: RequestContext) {
    const challenges = parseChallenges(text);
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const known = await credential();
    if (known !== undefined && "registryToken" in known) return once(`Bearer ${known.registryToken}`, used);
    const { realm, service, scope } = bearer?.parameters ?? {};
    if (realm !== undefined) {
      const url = await checkRealm({
        registry,
        endpoint: endpoint(),
        realm,
        hasCredential: known !== undefined,
        trusted: options.trustedRealms?.[registry] ?? [],
      });
      const request = { realm: url, service, scope: scopeFor(repository, scope), credential: known };
      return `Bearer ${await fetchToken(request, context)}`;
    }
    if (!challenges.some(({ scheme }) => scheme === "basic")) return undefined;
    return once(known === undefined ? undefined : basicAuthorization(known), used);
  }

  return {
    current: () => header,
    async answer(challenge, used, context) {
      // Another request was quicker to get a new token: theirs is worth trying first.
      if (header !== used) return true;
      underWay ??= solve(challenge, used, context).finally(() => {
        underWay = undefined;
      });
      const solved = await underWay;
      if (solved === undefined) return false;
      if (/[^\x20-\x7e]/.test(solved)) throw badToken(registry);
      header = solved;
      return true;
    },
  };
}

/** A header that never changes is worth sending once. */
function once(solved: string | undefined, used: string | undefined): string | undefined {
  return solved === used ? undefined : solved;
}

/** What the registry asks for, if it is for our repository; a stranger's scope is not asked for with our secret. */
function scopeFor(repository: string, asked: string | undefined): string {
  const isOurs = asked?.split(" ").every((part) => part.startsWith(`repository:${repository}:`)) ?? false;
  return isOurs && asked !== undefined ? asked : `repository:${repository}:pull`;
}

function badToken(registry: string) {
  return fail({
    code: "REGISTRY",
    message: `the token server of registry ${registry} gave a token with characters that no header may have`,
  });
}
