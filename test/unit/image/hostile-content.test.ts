// Blobs that are not what their names say, and layers that fail: nothing of them is kept.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { digestOf } from "../../../src/image/store/blobs.ts";
import { type FakeRegistry, missing, slowBody, startFakeRegistry } from "../../support/fake-registry.ts";
import { makeScene, type Scene, small } from "./scene.ts";
import { imageOf, noise, tarOf } from "./tools.ts";

let scene: Scene;
let registry: FakeRegistry;
const pull = (...args: Parameters<Scene["pull"]>) => scene.pull(...args);
const errorOf = (pulling: Promise<unknown>) => scene.errorOf(pulling);

beforeEach(() => {
  scene = makeScene();
  ({ registry } = scene);
});
afterEach(() => scene.end());

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
        return new Response(slowBody(Array(300).fill(noise(100)), 50, "hang"));
      return path.endsWith(image.layers[2] ?? "-") ? missing("BLOB_UNKNOWN", "gone") : undefined;
    });
    const start = performance.now();
    const error = await errorOf(pull());
    expect(error).toMatchObject({ code: "NOT_FOUND" });
    expect(error.message).toContain("BLOB_UNKNOWN: gone");
    expect(performance.now() - start).toBeLessThan(14_000);
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
