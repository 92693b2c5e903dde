// A registry on a loopback port that misbehaves on demand: what the tests of the client cannot get of a real one.

import { digestOf } from "../../src/image/store/blobs.ts";

/** A manifest with everything that it needs. */
export interface FakeImage {
  readonly mediaType: string;
  readonly manifest: Uint8Array;
  readonly digest: string;
  /** Config first, then layers. */
  readonly blobs: readonly Uint8Array[];
  readonly config: string;
  readonly layers: readonly string[];
  readonly diffIDs: readonly string[];
}

/** A request that came. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** Gets a request first; an answer of its own, or undefined for the usual one. */
export type Intercept = (seen: Seen) => Response | Promise<Response> | undefined;

export interface FakeRegistry {
  /** 127.0.0.1:PORT */
  readonly host: string;
  readonly seen: Seen[];
  /** Paths of the requests, in order. */
  paths(): string[];
  /** What is served under a repository's tag or digest. */
  putManifest(name: string, wanted: string, bytes: Uint8Array, mediaType: string): void;
  putBlob(bytes: Uint8Array, digest?: string): void;
  /** Everything of an image, under its digest and the tags. */
  put(name: string, image: FakeImage, ...tags: string[]): void;
  /** Takes the place of what was there before. */
  intercept(intercept: Intercept | undefined): void;
  /** Whether Range is honoured. */
  ranges: boolean;
  stop(): Promise<void>;
}

export function startFakeRegistry(): FakeRegistry {
  const manifests = new Map<string, { bytes: Uint8Array; mediaType: string }>();
  const blobs = new Map<string, Uint8Array>();
  const seen: Seen[] = [];
  let hook: Intercept | undefined;
  const registry = { ranges: true };

  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const path = url.pathname + url.search;
    const entry = { method: request.method, path, headers: request.headers, body: await request.text() };
    seen.push(entry);
    const own = await hook?.(entry);
    if (own !== undefined) return own;
    const [, name, kind, wanted] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname) ?? [];
    if (kind === "manifests") {
      const manifest = manifests.get(`${name}/${wanted}`);
      if (manifest === undefined) return missing("MANIFEST_UNKNOWN", "manifest unknown");
      return new Response(new Uint8Array(manifest.bytes), {
        headers: {
          "content-type": manifest.mediaType,
          "docker-content-digest": digestOf(manifest.bytes),
        },
      });
    }
    const blob = blobs.get(wanted ?? "");
    if (blob === undefined) return missing("BLOB_UNKNOWN", "blob unknown to registry");
    const from = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1];
    if (from === undefined || !registry.ranges) return new Response(new Uint8Array(blob));
    const start = Number(from);
    if (start >= blob.byteLength) return new Response(null, { status: 416 });
    return new Response(new Uint8Array(blob.subarray(start)), {
      status: 206,
      headers: { "content-range": `bytes ${start}-${blob.byteLength - 1}/${blob.byteLength}` },
    });
  };

  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 60, fetch: answer });
  return Object.assign(registry, {
    host: `127.0.0.1:${server.port}`,
    seen,
    paths: () => seen.map(({ path }) => path),
    putManifest(name: string, wanted: string, bytes: Uint8Array, mediaType: string) {
      manifests.set(`${name}/${wanted}`, { bytes, mediaType });
    },
    putBlob(bytes: Uint8Array, digest = digestOf(bytes)) {
      blobs.set(digest, bytes);
    },
    put(name: string, image: FakeImage, ...tags: string[]) {
      for (const wanted of [image.digest, ...tags]) {
        manifests.set(`${name}/${wanted}`, { bytes: image.manifest, mediaType: image.mediaType });
      }
      for (const blob of image.blobs) blobs.set(digestOf(blob), blob);
    },
    intercept(intercept: Intercept | undefined) {
      hook = intercept;
    },
    stop: () => server.stop(true),
  });
}

/** An error in the specification's form. */
export function missing(
  code: string,
  message: string,
  status = 404,
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify({ errors: [{ code, message }] }), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

/**
 * A server of one raw answer: for what no HTTP library would send. `bytes` go out in pieces, and then the connection is
 * cut, or left hanging.
 */
export function startRawServer(
  pieces: readonly (string | Uint8Array)[],
  end: "cut" | "hang",
): { host: string; stop(): void } {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        for (const piece of pieces) socket.write(piece);
        socket.flush();
        if (end === "cut") setTimeout(() => socket.terminate(), 10);
      },
    },
  });
  return { host: `127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

/** A body that sends its pieces with pauses in between, and then fails, stops, or never ends. */
export function slowBody(
  pieces: readonly Uint8Array[],
  pause: number,
  end: "close" | "hang",
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      const piece = pieces[at++];
      if (piece !== undefined) {
        controller.enqueue(piece);
        await Bun.sleep(pause);
      } else if (end === "close") controller.close();
      else await new Promise(() => {});
    },
  });
}
