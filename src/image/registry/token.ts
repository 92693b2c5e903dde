/**
 * Getting a bearer token from a token server (Docker's registry token and OAuth 2 specifications, which registries
 * share). Not here: which server may be asked (realm.ts), when (auth.ts).
 */
import { TokenResponse } from "../../spec/distribution/token.ts";
import { parseJson } from "../../spec/parse.ts";
import { statusError } from "./errors.ts";
import { type RequestContext, send } from "./http.ts";
import type { Credential } from "./options.ts";

/** A token server's answer is small. */
const MAX_TOKEN_BYTES = 1 << 20;
const MAX_ERROR_BYTES = 1 << 16;

/** What a token is for. */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  /** `repository:library/debian:pull` */
  readonly scope: string;
  readonly credential: Credential | undefined;
}

/** `Basic ...` of RFC 7617. */
export function basicAuthorization(credential: Credential): string | undefined {
  if (!("username" in credential)) return undefined;
  const pair = Buffer.from(`${credential.username}:${credential.password}`, "utf8");
  return `Basic ${pair.toString("base64")}`;
}

/** Asks for a token. @throws CtrError UNAUTHORIZED where the credential is refused. */
export async function fetchToken(request: TokenRequest, context: RequestContext): Promise<string> {
  const { realm, service, scope, credential } = request;
  const isIdentity = credential !== undefined && "identityToken" in credential;
  const parameters = new URLSearchParams();
  if (service !== undefined) parameters.set("service", service);
  if (isIdentity) {
    parameters.set("client_id", "ctr-bun");
    parameters.set("grant_type", "refresh_token");
    parameters.set("refresh_token", credential.identityToken);
  }
  const url = new URL(realm);
  if (!isIdentity) for (const [name, value] of parameters) url.searchParams.set(name, value);
  (isIdentity ? parameters : url.searchParams).append("scope", scope);
  const authorization = credential === undefined ? undefined : basicAuthorization(credential);
  const outgoing = isIdentity ? { form: parameters } : { authorization };
  const answer = await send(url, { ...outgoing, accept: "application/json" }, context);
  if (answer.status !== 200) {
    throw statusError(answer.status, await answer.beginning(MAX_ERROR_BYTES), context.asked);
  }
  const what = `answer of token server ${realm.host}`;
  const { token, access_token } = parseJson(TokenResponse, await answer.bytes(MAX_TOKEN_BYTES), what);
  return token ?? access_token ?? "";
}
