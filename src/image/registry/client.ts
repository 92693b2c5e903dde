/**
 * The client of one repository, for pulling (distribution-spec, "Pull"): manifests whole, blobs as streams.
 * Not here: single requests (http.ts), checking content against digests (image/download.ts, image/document.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../spec/image/media-types.ts";
import { MAX_DOCUMENT_BYTES } from "../../spec/parse.ts";
import type { Progress } from "../progress.ts";
import { createAuthenticator } from "./auth.ts";
import { endpointsOf } from "./endpoint.ts";
import { type Asked, cancelled, isNotTls, isTransient, plain, statusError } from "./errors.ts";
import { type Answer, type Outgoing, type RequestContext, send } from "./http.ts";
import { DEFAULT_LIMITS, type RegistryLimits, type RegistryOptions } from "./options.ts";
import { createTrust } from "./trust.ts";

/** A manifest or index as it came: nothing checked but its length. */
export interface FetchedManifest {
  readonly bytes: Uint8Array;
  /** Content-Type without parameters, lower case; undefined where there is none. */
  readonly mediaType: string | undefined;
  /** Docker-Content-Digest, to be checked like any other claim. */
  readonly digest: string | undefined;
}

/** A blob on its way. */
export interface FetchedBlob {
  /** Offset of the first byte that comes: what was asked for, or 0 where the registry does not do ranges. */
  readonly start: number;
  readonly chunks: AsyncGenerator<Uint8Array, void>;
}

/** Pulls from one repository. */
export interface RegistryClient {
  readonly limits: RegistryLimits;
  /** @param wanted a tag or a digest. */
  manifest(wanted: string, signal?: AbortSignal): Promise<FetchedManifest>;
  /** @throws CtrError REGISTRY where the length that is announced is not `size`. */
  blob(digest: string, size: number, offset: number, signal?: AbortSignal): Promise<FetchedBlob>;
  /** Waits before try number `failures + 1`, and says so; throws `error` when there were tries enough. */
  pause(failures: number, error: unknown, signal?: AbortSignal): Promise<void>;
}

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(", ");
const MAX_ERROR_BYTES = 1 << 16;
const RETRIED = new Set([408, 429, 500, 502, 503, 504]);

/** Opens a repository; no connection is made before something is asked for. */
export function openRepository(
  registry: string,
  repository: string,
  options: RegistryOptions = {},
  progress: Progress = () => {},
): RegistryClient {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const trust = createTrust(options.ca);
  const endpoints = endpointsOf(registry, options.plainHttp ?? false);
  let endpoint = endpoints[0] ?? new URL(`https://${registry}/`);
  const auth = createAuthenticator(registry, repository, () => endpoint, options);

  const warned = new Set<string>();
  /** What the registry wants people to know (distribution-spec, "Warnings"), once. */
  function warn(header: string | null): void {
    const text = /^299 - "(.*)"$/.exec(header ?? "")?.[1];
    if (text === undefined || warned.has(text)) return;
    warned.add(text);
    progress({ kind: "warning", message: `registry ${registry}: ${plain(text)}` });
  }

  async function pause(failures: number, error: unknown, signal?: AbortSignal, after?: number) {
    if (failures >= limits.tries) throw error;
    // Half of it by chance, so that those who were cut off together do not come back together.
    const doubled = limits.backoff * 2 ** (failures - 1) * (0.5 + Math.random() / 2);
    const delay = Math.round(Math.min(Math.max(doubled, after ?? 0), limits.longestPause));
    progress({ kind: "retry", message: error instanceof Error ? error.message : String(error), delay });
    await sleep(delay, signal);
  }

  /** One request with authorization: a 401 is answered, and the request sent again. */
  async function authorized(path: string, outgoing: Outgoing, context: RequestContext): Promise<Answer> {
    for (let challenges = 0; ; challenges++) {
      const used = auth.current();
      const answer = await sendToEndpoint(path, { ...outgoing, authorization: used }, context);
      if (answer.status !== 401 || answer.url.origin !== endpoint.origin || challenges === 2) return answer;
      const challenge = answer.headers.get("www-authenticate");
      if (challenge === null) return answer;
      const body = await answer.beginning(MAX_ERROR_BYTES);
      if (!(await auth.answer(challenge, used, context))) throw statusError(401, body, context.asked);
    }
  }

  /** On loopback, a port that does not speak TLS is taken as plain http from then on. */
  async function sendToEndpoint(path: string, outgoing: Outgoing, context: RequestContext): Promise<Answer> {
    try {
      return await send(new URL(path, endpoint), outgoing, context);
    } catch (error) {
      const next = endpoints[endpoints.indexOf(endpoint) + 1];
      if (next === undefined || !isNotTls(error)) throw error;
      endpoint = next;
      return send(new URL(path, endpoint), { ...outgoing, authorization: auth.current() }, context);
    }
  }

  /** Until the head of a good answer is there: tries again on what may pass. */
  async function get(path: string, outgoing: Outgoing, what: string, signal?: AbortSignal): Promise<Answer> {
    const asked: Asked = { registry, repository, what };
    const context = { asked, limits, trust, signal };
    for (let failures = 1; ; failures++) {
      let error: unknown;
      let after: number | undefined;
      try {
        const answer = await authorized(path, outgoing, context);
        warn(answer.headers.get("warning"));
        if (answer.status === 200 || answer.status === 206) return answer;
        after = retryAfter(answer.headers.get("retry-after"));
        error = statusError(answer.status, await answer.beginning(MAX_ERROR_BYTES), asked);
        if (!RETRIED.has(answer.status)) throw error;
      } catch (thrown) {
        if (!isTransient(thrown)) throw thrown;
        error = thrown;
      }
      await pause(failures, error, signal, after);
    }
  }

  return {
    limits,
    pause: (failures, error, signal) => pause(failures, error, signal),
    async manifest(wanted, signal) {
      const isDigest = wanted.includes(":");
      const what = isDigest ? `manifest ${wanted}` : `tag ${JSON.stringify(wanted)}`;
      for (let failures = 1; ; failures++) {
        const path = `v2/${repository}/manifests/${wanted}`;
        const answer = await get(path, { accept: ACCEPT }, what, signal);
        try {
          return {
            bytes: await answer.bytes(MAX_DOCUMENT_BYTES),
            mediaType: answer.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() || undefined,
            digest: answer.headers.get("docker-content-digest") ?? undefined,
          };
        } catch (error) {
          if (!isTransient(error)) throw error;
          await pause(failures, error, signal);
        }
      }
    },
    async blob(digest, size, offset, signal) {
      const outgoing = offset === 0 ? {} : { range: `bytes=${offset}-` };
      const answer = await get(`v2/${repository}/blobs/${digest}`, outgoing, `blob ${digest}`, signal);
      const isPart = answer.status === 206;
      const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers.get("content-range") ?? "");
      if (isPart && Number(range?.[1]) !== offset) {
        answer.drop();
        throw wrongLength(registry, repository, digest, "another range than the one asked for");
      }
      const start = isPart ? offset : 0;
      const length = answer.headers.get("content-length");
      if (length !== null && Number(length) !== size - start) {
        answer.drop();
        throw wrongLength(registry, repository, digest, `${length} bytes where ${size - start} are to come`);
      }
      return { start, chunks: answer.body() };
    },
  };
}

function wrongLength(registry: string, repository: string, digest: string, what: string): CtrError {
  return fail({
    code: "INVALID_IMAGE",
    message: `registry ${registry} offers ${what} for blob ${digest} of repository ${repository}`,
    hint: "the image in the registry is damaged or was tampered with",
  });
}

/** Retry-After (RFC 9110, section 10.2.3), seconds or a date, in milliseconds. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(wait) && wait > 0 ? wait : undefined;
}

/** Sleeps, unless and until the signal comes. */
async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) throw cancelled(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const onAbort = () => reject(cancelled(signal?.reason));
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
