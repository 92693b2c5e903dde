/**
 * The words for everything that goes wrong with a registry: which registry, repository, thing and status, and the
 * way out. Not here: when to try again (http.ts, client.ts).
 */
import { CtrError, fail } from "../../error.ts";
import { RegistryErrors } from "../../spec/distribution/errors.ts";
import { parseJson } from "../../spec/parse.ts";

/** What was being asked, for the messages. */
export interface Asked {
  readonly registry: string;
  readonly repository: string;
  /** `tag "12"`, `manifest sha256:...`, `blob sha256:...`, `token`. */
  readonly what: string;
}

/** Codes of errors after which the same request may well succeed. */
const TRANSIENT = new Set(["REGISTRY_INTERRUPTED"]);

export function isTransient(error: unknown): boolean {
  return error instanceof CtrError && TRANSIENT.has(error.code);
}

const tlsHint =
  "the registry's certificate must be signed by an authority this system trusts; a registry without TLS needs --plain-http";

/** The error of a connection that failed or broke, from what fetch threw. */
export function connectionError(thrown: unknown, asked: Asked, url: URL): CtrError {
  if (thrown instanceof CtrError) return thrown;
  const code = errnoOf(thrown);
  const said = thrown instanceof Error ? plain(thrown.message) : String(thrown);
  const host = url.host === asked.registry ? url.host : `${url.host} (for registry ${asked.registry})`;
  const base = { cause: thrown, step: `fetch ${asked.what} of ${asked.registry}/${asked.repository}` };
  if (code === "ECONNREFUSED" || code === "EHOSTUNREACH" || code === "ENETUNREACH") {
    const why = code === "ECONNREFUSED" ? "connection refused" : "host unreachable";
    return fail({
      ...base,
      code: "REGISTRY_DOWN",
      message: `registry ${host} cannot be reached: ${why}`,
      errno: code,
      hint: "check that the registry is running and that its name and port are right",
    });
  }
  if (code === "ENOTFOUND") {
    return fail({
      ...base,
      code: "REGISTRY_UNKNOWN_HOST",
      message: `registry ${host} cannot be reached: no address is known for the name`,
      hint: "check the spelling of the registry, /etc/resolv.conf, and the network",
    });
  }
  if (/^(?:EPROTO|ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_)/.test(code)) {
    const message = `registry ${host}: no trusted TLS connection (${code})`;
    return fail({ ...base, code: "REGISTRY_TLS", message, hint: tlsHint });
  }
  if (code === "ECONNRESET" || code === "EPIPE" || code === "EAI_AGAIN" || code === "ETIMEDOUT") {
    const message = `registry ${host}: the connection broke (${code})`;
    return fail({ ...base, code: "REGISTRY_INTERRUPTED", message, errno: code, hint: "try again" });
  }
  const message = `registry ${host}: ${said}${code === "" || said.includes(code) ? "" : ` (${code})`}`;
  return fail({ ...base, code: "REGISTRY_INTERRUPTED", message });
}

function errnoOf(thrown: unknown): string {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : "";
  return typeof code === "string" ? code : "";
}

/** Whether the other side does not speak TLS at all, which on loopback means: plain http. */
export function isNotTls(error: unknown): boolean {
  return error instanceof CtrError && error.code === "REGISTRY_TLS" && errnoOf(error.cause) === "EPROTO";
}

/** No byte came for too long. */
export function stalled(asked: Asked, milliseconds: number): CtrError {
  return fail({
    code: "REGISTRY_INTERRUPTED",
    message: `registry ${asked.registry} sent nothing for ${milliseconds / 1000} s (${asked.what} of ${asked.repository})`,
    hint: "try again; what has come so far is kept",
  });
}

export function cancelled(reason: unknown): CtrError {
  if (reason instanceof CtrError) return reason;
  return fail({ code: "CANCELLED", message: "cancelled", cause: reason, exitCode: 130 });
}

/** The error of an answer that is not a success. `body` is its beginning; it is of the registry's making. */
export function statusError(status: number, body: Uint8Array, asked: Asked): CtrError {
  const said = saidIn(body);
  const base = { step: `fetch ${asked.what} of ${asked.registry}/${asked.repository}` };
  const end = `(${[status, ...said].join(": ")})`;
  if (status === 404) {
    return fail({
      ...base,
      code: "NOT_FOUND",
      message: `registry ${asked.registry} has no ${asked.what} in repository ${asked.repository} ${end}`,
      hint: "check the name and the tag; a private repository may need credentials",
    });
  }
  if (status === 401 || status === 403) {
    return fail({
      ...base,
      code: "UNAUTHORIZED",
      message: `registry ${asked.registry} refuses access to repository ${asked.repository} ${end}`,
      hint: "the repository may not exist, or the credentials in Docker's config.json are missing or not enough",
    });
  }
  if (status === 429) {
    return fail({
      ...base,
      code: "RATE_LIMITED",
      message: `registry ${asked.registry} limits how often it may be asked (${asked.what} of ${asked.repository}) ${end}`,
      hint: "wait, or log in: accounts have higher limits",
    });
  }
  return fail({
    ...base,
    code: "REGISTRY",
    message: `registry ${asked.registry} failed to give ${asked.what} of repository ${asked.repository} ${end}`,
    hint: status >= 500 ? "the registry has a problem of its own: try again later" : undefined,
  });
}

/** `CODE` and message of the first error in the body (distribution-spec, "Error Codes"), made safe to show. */
function saidIn(body: Uint8Array): string[] {
  try {
    const [first] = parseJson(RegistryErrors, body, "the registry's answer").errors;
    if (first === undefined) return [];
    return [plain(first.code), plain(first.message ?? "")].filter((text) => text !== "");
  } catch {
    return [];
  }
}

/** Text of a stranger on one line of a terminal: no control characters, not long. */
export function plain(text: string): string {
  const short = text.slice(0, 200).replace(/[\p{C}\p{Z}]+/gu, " ");
  return short.trim();
}
