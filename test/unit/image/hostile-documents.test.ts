// Manifests, indexes and configs that mean harm, or are broken: one clear error each, and nothing left behind.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { digestOf } from "../../../src/image/store/blobs.ts";
import { type FakeRegistry, slowBody } from "../../support/fake-registry.ts";
import { makeScene, type Scene, small } from "./scene.ts";
import { imageOf, indexOf } from "./tools.ts";

let scene: Scene;
let registry: FakeRegistry;
const pull = (...args: Parameters<Scene["pull"]>) => scene.pull(...args);
const errorOf = (pulling: Promise<unknown>) => scene.errorOf(pulling);

beforeEach(() => {
  scene = makeScene();
  ({ registry } = scene);
});
afterEach(() => scene.end());

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
