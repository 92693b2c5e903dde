// Registries and images that mean harm, or are broken: one clear error each, and nothing left behind.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { CtrError } from "../../../src/error.ts";
import type { ProgressEvent } from "../../../src/image/progress.ts";
import { type PullRequest, pullImage } from "../../../src/image/pull.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { digestOf } from "../../../src/image/store/blobs.ts";
import {
  type FakeRegistry,
  missing,
  slowBody,
  startFakeRegistry,
  startRawServer,
} from "../../support/fake-registry.ts";
import { imageOf, indexOf, makePlace, noise, type Place, tarOf } from "./tools.ts";

let registry: FakeRegistry;
let place: Place;
let events: ProgressEvent[];

beforeEach(() => {
  registry = startFakeRegistry();
  place = makePlace();
  events = [];
});
afterEach(async () => {
  place.remove();
  await registry.stop();
});

const pull = (name = `${registry.host}/app:1`, more: Partial<PullRequest> = {}) =>
  pullImage({
    reference: parseReference(name),
    store: place.store,
    snapshotter: place.snapshotter,
    authFiles: [],
    progress: (event) => events.push(event),
    limits: { backoff: 2, answerTimeout: 500, stallTimeout: 200, tries: 3 },
    ...more,
  });

/** The error of a pull, after which no image, snapshot, lease or lock may be there. */
async function errorOf(pulling: Promise<unknown>): Promise<CtrError> {
  const error = await pulling.then(
    () => undefined,
    (thrown) => thrown,
  );
  if (!(error instanceof CtrError)) throw new Error(`no error, or a strange one: ${error}`);
  const { snapshots, leases, locks } = place.contents();
  expect({ snapshots, leases, locks, images: place.store.entries() }).toEqual({
    snapshots: [],
    leases: [],
    locks: [],
    images: [],
  });
  return error;
}

const small = () => imageOf([{ a: "one" }]);

describe("documents", () => {
  const serve = (document: unknown, type = "application/vnd.oci.image.manifest.v1+json") =>
    registry.putManifest("app", "1", Buffer.from(JSON.stringify(document)), type);

  test("one that is both a manifest and an index is refused", async () => {
    const image = small();
    registry.put("app", image);
    const manifest = JSON.parse(Buffer.from(image.manifest).toString());
    serve({ ...manifest, manifests: [] });
    expect(await errorOf(pull())).toMatchObject({
      code: "INVALID_IMAGE",
      message: expect.stringContaining("must not be in an image manifest"),
    });
    serve({ ...manifest, mediaType: undefined, manifests: [] }, "application/json");
    expect((await errorOf(pull())).code).toBe("INVALID_IMAGE");
  });

  test("one that calls itself something else than the registry, or what pointed to it, is refused", async () => {
    const image = small();
    registry.put("app", image);
    const manifest = JSON.parse(Buffer.from(image.manifest).toString());
    serve(manifest, "application/vnd.oci.image.index.v1+json");
    expect((await errorOf(pull())).message).toContain(
      "calls itself application/vnd.oci.image.manifest.v1+json",
    );
    const index = JSON.parse(
      Buffer.from(indexOf([{ image, platform: { os: "linux", architecture: "amd64" } }]).bytes).toString(),
    );
    index.manifests[0].mediaType = "application/vnd.docker.distribution.manifest.v2+json";
    serve(index, "application/vnd.oci.image.index.v1+json");
    expect((await errorOf(pull())).message).toContain("is presented as");
  });

  test("a sloppy Content-Type alone is no reason", async () => {
    const image = small();
    registry.put("app", image);
    registry.putManifest("app", "1", image.manifest, "text/plain; charset=utf-8");
    expect((await pull()).id).toBe(image.config);
  });

  test("Docker's schema 1", async () => {
    serve({ schemaVersion: 1, fsLayers: [] }, "application/vnd.docker.distribution.manifest.v1+prettyjws");
    expect(await errorOf(pull())).toMatchObject({ code: "UNSUPPORTED" });
  });

  test("JSON without end", async () => {
    registry.intercept(() => new Response(slowBody(Array(80).fill(Buffer.alloc(1 << 16, " ")), 0, "close")));
    expect((await errorOf(pull())).message).toContain("more than 4194304 bytes");
  });

  test("JSON that is none, and nesting without end", async () => {
    registry.putManifest(
      "app",
      "1",
      Buffer.from('{"schemaVersion":2,'),
      "application/vnd.oci.image.manifest.v1+json",
    );
    expect((await errorOf(pull())).message).toContain("is malformed");
    registry.putManifest(
      "app",
      "1",
      Buffer.from("[".repeat(1_000_000)),
      "application/vnd.oci.image.manifest.v1+json",
    );
    expect((await errorOf(pull())).code).toBe("INVALID_IMAGE");
  });

  test("an index that points to itself through others", async () => {
    const type = "application/vnd.oci.image.index.v1+json";
    let bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [] }));
    for (let depth = 0; depth < 8; depth++) {
      registry.putManifest("app", digestOf(bytes), bytes, type);
      const platform = { os: "linux", architecture: "amd64" };
      const entry = { mediaType: type, digest: digestOf(bytes), size: bytes.byteLength, platform };
      bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [entry] }));
    }
    registry.putManifest("app", "1", bytes, type);
    expect((await errorOf(pull())).message).toContain("without end");
  });

  test("an artifact that is no image", async () => {
    const manifest = JSON.parse(Buffer.from(small().manifest).toString());
    serve({ ...manifest, config: { ...manifest.config, mediaType: "application/vnd.example.chart+json" } });
    expect((await errorOf(pull())).message).toContain("artifact of type application/vnd.example.chart+json");
  });

  test("numbers of layers and diff IDs that differ", async () => {
    const image = imageOf([{ a: "1" }, { b: "2" }]);
    registry.put("app", image);
    const manifest = JSON.parse(Buffer.from(image.manifest).toString());
    serve({ ...manifest, layers: manifest.layers.slice(1) });
    expect((await errorOf(pull())).message).toContain("has 1 layers, and a config that names 2");
  });

  test("digests that are paths", async () => {
    const manifest = JSON.parse(Buffer.from(small().manifest).toString());
    for (const digest of [
      "sha256:../../../../etc/passwd",
      `sha256:${"A".repeat(64)}`,
      "../x:y",
      `sha256:${"a".repeat(63)}/`,
    ]) {
      serve({ ...manifest, config: { ...manifest.config, digest } });
      expect((await errorOf(pull())).code).toBe("INVALID_IMAGE");
    }
    expect(registry.paths().every((path) => !path.includes("..") && path.includes("/manifests/1"))).toBe(
      true,
    );
  });
});

describe("content that is not what its name says is not kept", () => {
  test("a manifest asked for by digest", async () => {
    const digest = `sha256:${"a".repeat(64)}`;
    registry.putManifest("app", digest, small().manifest, small().mediaType);
    const error = await errorOf(pull(`${registry.host}/app@${digest}`));
    expect(error).toMatchObject({ code: "INVALID_IMAGE" });
    expect(error.message).toContain(digest);
  });

  test("a manifest with another digest in its header", async () => {
    const image = small();
    registry.intercept(
      () =>
        new Response(new Uint8Array(image.manifest), {
          headers: { "content-type": image.mediaType, "docker-content-digest": `sha256:${"b".repeat(64)}` },
        }),
    );
    expect((await errorOf(pull())).code).toBe("INVALID_IMAGE");
  });

  for (const [what, at] of [
    ["config", 0],
    ["layer", 1],
  ] as const) {
    test(`a ${what} with one bit flipped, and one that is longer or shorter`, async () => {
      const image = imageOf([{ a: noise(100_000) }]);
      registry.put("app", image, "1");
      const right = image.blobs[at] ?? new Uint8Array();
      const flipped = new Uint8Array(right);
      flipped[right.byteLength >> 1] = (flipped[right.byteLength >> 1] ?? 0) ^ 4;
      for (const bytes of [flipped, right.subarray(1), Buffer.concat([right, right])]) {
        registry.putBlob(bytes, digestOf(right));
        expect((await errorOf(pull())).message).toContain(digestOf(right));
        // Sent in pieces, without a length to see it by.
        registry.intercept(({ path }) =>
          path.endsWith(digestOf(right)) ? new Response(slowBody([bytes.slice()], 0, "close")) : undefined,
        );
        const error = await errorOf(pull());
        registry.intercept(undefined);
        expect(["INVALID_IMAGE", "REGISTRY_INTERRUPTED"]).toContain(error.code);
        expect(error.message).toContain(digestOf(right));
      }
      registry.put("app", image, "1");
      expect((await pull()).id).toBe(image.config);
    });
  }

  test("a layer whose content is not what the config says", async () => {
    const [one, two] = [imageOf([{ a: "1" }]), imageOf([{ a: "2" }])];
    registry.put("app", two);
    registry.put("app", one);
    const manifest = JSON.parse(Buffer.from(one.manifest).toString());
    manifest.layers = JSON.parse(Buffer.from(two.manifest).toString()).layers;
    registry.putManifest("app", "1", Buffer.from(JSON.stringify(manifest)), one.mediaType);
    expect((await errorOf(pull())).message).toContain(digestOf(tarOf({ a: "1" })).slice(0, 20));
  });

  test("a layer that is never the size it is said to be is not read to its end", async () => {
    const image = small();
    registry.put("app", image, "1");
    let sent = 0;
    const endless = () =>
      new ReadableStream<Uint8Array>({
        pull(controller) {
          sent += 65536;
          controller.enqueue(new Uint8Array(65536));
        },
      });
    registry.intercept(({ path }) =>
      path.endsWith(image.layers[0] ?? "-") ? new Response(endless()) : undefined,
    );
    expect((await errorOf(pull())).message).toContain("more than the");
    expect(sent).toBeLessThan(64 << 20);
  });
});

describe("layers", () => {
  test("one layer that fails stops the others, and what was begun is removed", async () => {
    const image = imageOf([{ a: noise(100_000) }, { b: noise(100_000, 2) }, { c: "x" }]);
    registry.put("app", image, "1");
    registry.intercept(({ path }) => {
      if (path.endsWith(image.layers[0] ?? "-"))
        return new Response(slowBody(Array(50).fill(noise(1000)), 50, "hang"));
      return path.endsWith(image.layers[2] ?? "-") ? missing("BLOB_UNKNOWN", "gone") : undefined;
    });
    const start = performance.now();
    const error = await errorOf(pull());
    expect(error).toMatchObject({ code: "NOT_FOUND" });
    expect(error.message).toContain("BLOB_UNKNOWN: gone");
    expect(performance.now() - start).toBeLessThan(1500);
  });

  test("a foreign layer is taken from the registry or not at all", async () => {
    const image = small();
    const manifest = JSON.parse(Buffer.from(image.manifest).toString());
    const elsewhere = startFakeRegistry();
    manifest.layers[0].mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    manifest.layers[0].urls = [`http://${elsewhere.host}/layer`];
    registry.putManifest("app", "1", Buffer.from(JSON.stringify(manifest)), image.mediaType);
    registry.putBlob(image.blobs[0] ?? new Uint8Array());
    expect(await errorOf(pull())).toMatchObject({ code: "UNSUPPORTED" });
    expect(elsewhere.seen).toEqual([]);
    registry.putBlob(image.blobs[1] ?? new Uint8Array());
    expect((await pull()).id).toBe(image.config);
    await elsewhere.stop();
  });

  test("a layer that is no archive, and one of an unknown type", async () => {
    const image = small();
    registry.put("app", image);
    const bytes = Buffer.from("not an archive");
    const config = Buffer.from(
      JSON.stringify({
        os: "linux",
        architecture: "amd64",
        rootfs: { type: "layers", diff_ids: [digestOf(bytes)] },
      }),
    );
    const describe = (mediaType: string, blob: Uint8Array) => ({
      mediaType,
      digest: digestOf(blob),
      size: blob.byteLength,
    });
    registry.putBlob(bytes);
    registry.putBlob(config);
    for (const type of ["application/vnd.oci.image.layer.v1.tar", "application/vnd.example.strange"]) {
      const manifest = {
        schemaVersion: 2,
        config: describe("application/vnd.oci.image.config.v1+json", config),
        layers: [describe(type, bytes)],
      };
      registry.putManifest("app", "1", Buffer.from(JSON.stringify(manifest)), image.mediaType);
      await errorOf(pull());
    }
  });
});

describe("connections", () => {
  test("a blob that breaks off is continued at the byte where it stopped", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    const blob = image.blobs[1] ?? new Uint8Array();
    const ranges: (string | null)[] = [];
    registry.intercept(({ path, headers }) => {
      if (!path.endsWith(image.layers[0] ?? "-")) return undefined;
      ranges.push(headers.get("range"));
      if (ranges.length > 3) return undefined;
      const from = Number(/\d+/.exec(headers.get("range") ?? "0")?.[0]);
      const piece = blob.slice(from, from + 100_000);
      return new Response(slowBody([piece], 20, "hang"), {
        status: from === 0 ? 200 : 206,
        headers: { "content-range": `bytes ${from}-${blob.byteLength - 1}/${blob.byteLength}` },
      });
    });
    expect((await pull()).id).toBe(image.config);
    expect(ranges).toEqual([null, "bytes=100000-", "bytes=200000-", "bytes=300000-"]);
    expect(events.filter(({ kind }) => kind === "retry")).toHaveLength(3);
  });

  test("a registry without ranges begins anew, and the blob is right all the same", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    registry.ranges = false;
    let tries = 0;
    registry.intercept(({ path }) =>
      path.endsWith(image.layers[0] ?? "-") && tries++ < 2
        ? new Response(slowBody([(image.blobs[1] ?? new Uint8Array()).slice(0, 100_000)], 20, "hang"))
        : undefined,
    );
    expect((await pull()).id).toBe(image.config);
  });

  test("a range that is not the one asked for is refused", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    registry.intercept(({ path, headers }) => {
      if (!path.endsWith(image.layers[0] ?? "-")) return undefined;
      const blob = image.blobs[1] ?? new Uint8Array();
      if (headers.get("range") === null) return new Response(slowBody([blob.slice(0, 1000)], 20, "hang"));
      return new Response(blob.slice(0), { status: 206, headers: { "content-range": `bytes 0-9/10` } });
    });
    expect((await errorOf(pull())).message).toContain("another range");
  });

  test("what an interrupted pull left is continued; where it was damaged, fetched anew", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    const blob = image.blobs[1] ?? new Uint8Array();
    const partial = place.store.paths.partial(image.layers[0] ?? "");
    place.store.prepare();
    await Bun.write(partial, blob.slice(0, 200_000));
    await pull();
    expect(registry.seen.at(-1)?.headers.get("range")).toBe("bytes=200000-");
    const second = makePlace();
    second.store.prepare();
    await Bun.write(second.store.paths.partial(image.layers[0] ?? ""), new Uint8Array(200_000));
    await pull(undefined, { store: second.store, snapshotter: second.snapshotter });
    expect(registry.seen.at(-1)?.headers.get("range")).toBeNull();
    second.remove();
  });

  test("one that hangs, stalls, talks nonsense or is cut is given up after some tries", async () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{";
    for (const [pieces, end] of [
      [[], "hang"],
      [["nonsense\r\n\r\n"], "hang"],
      [[head], "hang"],
      [[head], "cut"],
      [[], "cut"],
    ] as const) {
      const server = startRawServer(pieces, end);
      const error = await errorOf(pull(`${server.host}/app:1`, { plainHttp: true }));
      server.stop();
      expect(error.code).toBe("REGISTRY_INTERRUPTED");
      expect(error.message).toContain(server.host);
    }
    expect(events.filter(({ kind }) => kind === "retry").length).toBeGreaterThanOrEqual(10);
  }, 20_000);

  test("5xx and 429 are tried again, Retry-After is honoured up to a bound", async () => {
    registry.put("app", small(), "1");
    let count = 0;
    registry.intercept(() =>
      ++count === 1
        ? new Response("busy", { status: 503 })
        : count === 2
          ? missing("TOOMANYREQUESTS", "slow down", 429, { "retry-after": "1" })
          : undefined,
    );
    const start = performance.now();
    await pull();
    expect(performance.now() - start).toBeGreaterThan(990);
    expect(events.filter(({ kind }) => kind === "retry")).toMatchObject([{}, { delay: 1000 }]);
    registry.intercept(() => missing("TOOMANYREQUESTS", "slow down", 429, { "retry-after": "100000" }));
    const limits = { backoff: 1, longestPause: 20, tries: 3 };
    await expect(pull(undefined, { limits })).rejects.toMatchObject({ code: "RATE_LIMITED" });
  });

  test("a cancelled pull ends at once and keeps what has come", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    registry.intercept(({ path }) =>
      path.endsWith(image.layers[0] ?? "-")
        ? new Response(
            slowBody(Array(100).fill((image.blobs[1] ?? new Uint8Array()).slice(0, 1000)), 10, "hang"),
          )
        : undefined,
    );
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 150);
    const start = performance.now();
    expect(await errorOf(pull(undefined, { signal: controller.signal }))).toMatchObject({
      code: "CANCELLED",
    });
    expect(performance.now() - start).toBeLessThan(400);
    expect(place.contents().partials).toHaveLength(1);
  });
});
