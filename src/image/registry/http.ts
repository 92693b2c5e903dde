/**
 * One request to a registry: time-outs, redirects by hand, a body that is read in bounded pieces.
 * Not here: who we are (auth.ts), trying again (client.ts).
 */
import { fail } from "../../error.ts";
import { type Asked, cancelled, connectionError, plain, stalled } from "./errors.ts";
import type { RegistryLimits } from "./options.ts";
import { isUntrusted, type Trust } from "./trust.ts";

/** What a request needs besides its URL. */
export interface RequestContext {
  readonly asked: Asked;
  readonly limits: RegistryLimits;
  readonly trust: Trust;
  readonly signal: AbortSignal | undefined;
}

/** Headers and body of a request. `authorization` goes to the URL's own origin and nowhere else. */
export interface Outgoing {
  readonly authorization?: string | undefined;
  readonly accept?: string | undefined;
  readonly range?: string | undefined;
  /** Makes it a POST of a form. */
  readonly form?: URLSearchParams | undefined;
}

/** An answer whose head has come. Its body must be read to the end or dropped. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Where it came from, after redirects. */
  readonly url: URL;
  /** Bytes as they come. Throws REGISTRY_INTERRUPTED when they stop too early or stall. */
  body(): AsyncGenerator<Uint8Array, void>;
  /** The whole body. @throws CtrError REGISTRY if it is above `limit` bytes. */
  bytes(limit: number): Promise<Uint8Array>;
  /** Up to `limit` bytes of the body for a message; never throws. */
  beginning(limit: number): Promise<Uint8Array>;
  drop(): void;
}

const USER_AGENT = "ctr-bun";
const MAX_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Sends a request and follows redirects. An answer of any other status is returned, not thrown. */
export async function send(url: URL, outgoing: Outgoing, context: RequestContext): Promise<Answer> {
  let current = url;
  let { authorization } = outgoing;
  for (let redirects = 0; ; redirects++) {
    const answer = await sendOnce(current, { ...outgoing, authorization }, context);
    if (!REDIRECTS.has(answer.status)) return answer;
    const location = answer.headers.get("location") ?? "";
    answer.drop();
    const next = URL.canParse(location, current.href) ? new URL(location, current.href) : undefined;
    if (next === undefined || redirects === MAX_REDIRECTS) {
      throw badRedirect(
        context.asked,
        next === undefined ? `to ${JSON.stringify(plain(location))}` : "in circles",
      );
    }
    if (next.protocol !== "https:" && next.protocol !== current.protocol) {
      throw badRedirect(context.asked, `from https to ${next.protocol}//${next.host}`);
    }
    // A credential, in a header or in a form, goes to one origin. Having left it once, it stays behind (R6).
    if (next.origin !== current.origin) {
      if (outgoing.form !== undefined) throw badRedirect(context.asked, `with a form to ${next.origin}`);
      authorization = undefined;
    }
    next.username = "";
    next.password = "";
    current = next;
  }
}

function badRedirect(asked: Asked, where: string) {
  return fail({
    code: "REGISTRY",
    message: `registry ${asked.registry} redirects ${asked.what} of ${asked.repository} ${where}`,
    hint: "this is not followed; ask whoever runs the registry",
  });
}

async function sendOnce(url: URL, outgoing: Outgoing, context: RequestContext): Promise<Answer> {
  const { asked, limits, signal, trust } = context;
  if (signal?.aborted) throw cancelled(signal.reason);
  const controller = new AbortController();
  const onAbort = () => controller.abort(cancelled(signal?.reason));
  signal?.addEventListener("abort", onAbort, { once: true });
  const release = () => signal?.removeEventListener("abort", onAbort);
  // No encoding of the transport: digests and ranges are of the content as it is.
  const headers = new Headers({ "user-agent": USER_AGENT, "accept-encoding": "identity" });
  const { authorization, accept, range, form } = outgoing;
  if (authorization !== undefined) headers.set("authorization", authorization);
  if (accept !== undefined) headers.set("accept", accept);
  if (range !== undefined) headers.set("range", range);
  const authorities = trust.authorities();
  const timer = setTimeout(
    () => controller.abort(stalled(asked, limits.answerTimeout)),
    limits.answerTimeout,
  );
  try {
    const response = await fetch(url, {
      method: form === undefined ? "GET" : "POST",
      headers,
      body: form ?? null,
      redirect: "manual",
      decompress: false,
      signal: controller.signal,
      ...(authorities === undefined ? {} : { tls: { ca: authorities } }),
    });
    return answerOf(response, url, controller, context, release);
  } catch (thrown) {
    release();
    const error = connectionError(thrown, asked, url);
    if (isUntrusted(error) && (await trust.addSystem())) return sendOnce(url, outgoing, context);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

type PieceReader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "releaseLock">;

function answerOf(
  response: Response,
  url: URL,
  controller: AbortController,
  context: RequestContext,
  release: () => void,
): Answer {
  const { asked, limits } = context;
  let isDropped = false;
  const drop = () => {
    if (isDropped) return;
    isDropped = true;
    release();
    controller.abort();
    // The body's own promise may reject after the abort, with nobody left to hear it.
    response.body?.cancel().catch(() => {});
  };
  /** The clock runs only while we wait for the registry, not while whoever reads is busy. */
  async function readPiece(reader: PieceReader) {
    const stop = () => controller.abort(stalled(asked, limits.stallTimeout));
    const timer = setTimeout(stop, limits.stallTimeout);
    try {
      return await reader.read();
    } catch (thrown) {
      throw connectionError(thrown, asked, url);
    } finally {
      clearTimeout(timer);
    }
  }
  async function* body(): AsyncGenerator<Uint8Array, void> {
    const reader: PieceReader | undefined = response.body?.getReader();
    let isWhole = reader === undefined;
    try {
      while (reader !== undefined && !isWhole) {
        const piece = await readPiece(reader);
        isWhole = piece.done;
        if (piece.value !== undefined) yield piece.value;
      }
    } finally {
      reader?.releaseLock();
      if (isWhole) release();
      else drop();
    }
  }
  async function take(limit: number): Promise<{ bytes: Uint8Array; isCut: boolean }> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of body()) {
      parts.push(part);
      length += part.byteLength;
      if (length > limit) return { bytes: Buffer.concat(parts).subarray(0, limit), isCut: true };
    }
    return { bytes: Buffer.concat(parts), isCut: false };
  }
  return {
    status: response.status,
    headers: response.headers,
    url,
    body,
    drop,
    async bytes(limit) {
      const { bytes, isCut } = await take(limit);
      if (!isCut) return bytes;
      throw fail({
        code: "REGISTRY",
        message: `registry ${asked.registry} sent more than ${limit} bytes as ${asked.what} of ${asked.repository}`,
        hint: "no document of an image may be that large",
      });
    },
    async beginning(limit) {
      try {
        return (await take(limit)).bytes;
      } catch {
        return new Uint8Array();
      }
    },
  };
}
