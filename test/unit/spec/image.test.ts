// Descriptors, manifests, indexes, image configurations and digests: accepted, refused, and in which words.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type * as v from "valibot";
import { CtrError, errorLine } from "../../../src/error.ts";
import { ImageConfig } from "../../../src/spec/image/config.ts";
import { Descriptor } from "../../../src/spec/image/descriptor.ts";
import { Digest, parseDigest } from "../../../src/spec/image/digest.ts";
import { ImageIndex } from "../../../src/spec/image/index.ts";
import { ImageLayout } from "../../../src/spec/image/layout.ts";
import { ImageManifest } from "../../../src/spec/image/manifest.ts";
import { parseDocument, parseJson } from "../../../src/spec/parse.ts";
import { change, fixture, fixtureValue, keysOf, refusal } from "./support.ts";

const hex = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/** The one line of what `schema` has against a fixture with `value` set at `at`. */
function refusalOf(schema: v.GenericSchema, name: string, at: string, value: unknown): string {
  const document = fixtureValue(name);
  change(document, keysOf(at), value);
  return errorLine(refusal(() => parseDocument(schema, document, "it")));
}

describe("good documents are kept whole", () => {
  test.each([
    ["image/oci-manifest.json", ImageManifest],
    ["image/docker-manifest.json", ImageManifest],
    ["image/docker-manifest-list.json", ImageIndex],
    ["image/docker-config.json", ImageConfig],
  ] as const)("%s", (name, schema) => {
    expect<unknown>(parseJson(schema, fixture(name), name)).toEqual(JSON.parse(fixture(name)));
  });

  test("an index may be empty, and a manifest may have no layers and no media type", () => {
    expect(parseDocument(ImageIndex, { schemaVersion: 2, manifests: [] }, "it").manifests).toEqual([]);
    const { config } = parseJson(ImageManifest, fixture("image/docker-manifest.json"), "it");
    expect(parseDocument(ImageManifest, { schemaVersion: 2, config, layers: [] }, "it").layers).toEqual([]);
  });

  test("a layout states version 1.0.0", () => {
    expect(parseDocument(ImageLayout, { imageLayoutVersion: "1.0.0" }, "oci-layout").imageLayoutVersion).toBe(
      "1.0.0",
    );
    const error = refusal(() => parseDocument(ImageLayout, { imageLayoutVersion: "1.1.0" }, "oci-layout"));
    expect(errorLine(error)).toBe('imageLayoutVersion: expected "1.0.0", got "1.1.0"');
  });

  test("Docker's null in an image configuration is nothing", () => {
    const config = {
      architecture: "",
      os: "",
      config: { Entrypoint: null, Cmd: null, Volumes: null, Labels: null },
      rootfs: { type: "layers", diff_ids: [] },
      created: "",
    };
    expect(parseDocument(ImageConfig, config, "it").config?.Entrypoint).toBeUndefined();
  });
});

describe("a document that two readers could read differently is refused", () => {
  test.each([
    [
      ImageManifest,
      "image/oci-manifest.json",
      "manifests",
      [],
      "manifests: must not be in an image manifest",
    ],
    [
      ImageManifest,
      "image/oci-manifest.json",
      "manifests",
      null,
      "manifests: must not be in an image manifest",
    ],
    [ImageManifest, "image/oci-manifest.json", "fsLayers", [], "fsLayers: must not be in an image manifest"],
    [ImageIndex, "image/docker-manifest-list.json", "layers", [], "layers: must not be in an image index"],
    [ImageIndex, "image/docker-manifest-list.json", "config", null, "config: must not be in an image index"],
  ] as const)("%#", (schema, name, at, value, line) => {
    expect(refusalOf(schema, name, at, value)).toBe(line);
  });

  test("when it calls itself something else than what it is", () => {
    const index = "application/vnd.oci.image.index.v1+json";
    expect(refusalOf(ImageManifest, "image/oci-manifest.json", "mediaType", index)).toBe(
      `mediaType: expected one of "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json", got "${index}"`,
    );
    const manifest = "application/vnd.docker.distribution.manifest.v2+json";
    expect(refusalOf(ImageIndex, "image/docker-manifest-list.json", "mediaType", manifest)).toStartWith(
      "mediaType: expected one of ",
    );
  });

  test("when its schema version is Docker's first", () => {
    expect(refusalOf(ImageManifest, "image/docker-manifest.json", "schemaVersion", 1)).toBe(
      "schemaVersion: expected 2, got 1",
    );
  });
});

describe("a bad value is refused with its path", () => {
  test.each([
    [
      ImageManifest,
      "image/docker-manifest.json",
      "layers[1].size",
      -1,
      "layers[1].size: expected integer from 0 to 9007199254740991, got -1",
    ],
    [
      ImageManifest,
      "image/docker-manifest.json",
      "layers[1].size",
      9007199254740992,
      "layers[1].size: expected integer from 0 to 9007199254740991, got 9007199254740992",
    ],
    [
      ImageManifest,
      "image/docker-manifest.json",
      "layers[0].size",
      1.5,
      "layers[0].size: expected integer from 0 to 9007199254740991, got 1.5",
    ],
    [
      ImageManifest,
      "image/docker-manifest.json",
      "layers[0].digest",
      undefined,
      "layers[0].digest: is required",
    ],
    [ImageManifest, "image/docker-manifest.json", "config", undefined, "config: is required"],
    [
      ImageManifest,
      "image/docker-manifest.json",
      "config.digest",
      "sha256:../../etc",
      'config.digest: must be a digest, "algorithm:encoded", got "sha256:../../etc"',
    ],
    [
      ImageManifest,
      "image/docker-manifest.json",
      "config.mediaType",
      "json",
      'config.mediaType: must be a media type, "type/subtype", got "json"',
    ],
    [
      ImageManifest,
      "image/oci-manifest.json",
      "config.data",
      "e30",
      'config.data: must be base64 (RFC 4648, section 4), got "e30"',
    ],
    [
      ImageManifest,
      "image/oci-manifest.json",
      "config.data",
      "e30K",
      "config.data: holds 3 bytes where size says 2",
    ],
    [
      ImageIndex,
      "image/docker-manifest-list.json",
      "manifests[0].platform.os",
      undefined,
      "manifests[0].platform.os: is required",
    ],
    [
      ImageIndex,
      "image/docker-manifest-list.json",
      "manifests[1].platform",
      { architecture: "a", os: "b", "os.features": [1] },
      'manifests[1].platform["os.features"][0]: expected string, got number',
    ],
    [
      ImageConfig,
      "image/docker-config.json",
      "rootfs.type",
      "other",
      'rootfs.type: expected "layers", got "other"',
    ],
    [
      ImageConfig,
      "image/docker-config.json",
      "rootfs.diff_ids[0]",
      hex,
      `rootfs.diff_ids[0]: must be a digest, "algorithm:encoded", got "${hex}"`,
    ],
    [
      ImageConfig,
      "image/docker-config.json",
      "created",
      "yesterday",
      'created: must be a time such as "2024-01-31T12:00:00Z", got "yesterday"',
    ],
    [ImageConfig, "image/docker-config.json", "config.Env", "A=B", "config.Env: expected array, got string"],
    [
      ImageConfig,
      "image/docker-config.json",
      "config.WorkingDir",
      "/\0",
      'config.WorkingDir: must not contain a NUL byte, got "/\\u0000"',
    ],
    [
      ImageConfig,
      "image/docker-config.json",
      "config.ExposedPorts",
      { "80/tcp": 1 },
      'config.ExposedPorts["80/tcp"]: expected object, got number',
    ],
  ] as const)("%#", (schema, name, at, value, line) => {
    expect(refusalOf(schema, name, at, value)).toBe(line);
  });

  test("base64 in a descriptor is measured whatever its padding", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const descriptor = {
          mediaType: "a/b",
          digest: `sha256:${hex}`,
          size: bytes.length,
          data: bytes.toBase64(),
        };
        expect(parseDocument(Descriptor, descriptor, "it").size).toBe(bytes.length);
        if (bytes.length > 0)
          refusal(() => parseDocument(Descriptor, { ...descriptor, size: bytes.length + 1 }, "it"));
      }),
    );
  });

  test.each([
    ["manifest", ImageManifest],
    ["index", ImageIndex],
    ["config", ImageConfig],
  ] as const)("any JSON as %s is a value or a CtrError", (_name, schema) => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          parseDocument(schema, value, "it");
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(CtrError);
        }
      }),
    );
  });
});

describe("digests", () => {
  test("of the two algorithms that we verify are taken apart", () => {
    expect(parseDigest(`sha256:${hex}`)).toEqual({ algorithm: "sha256", encoded: hex });
    expect(parseDigest(`sha512:${hex}${hex}`)).toEqual({ algorithm: "sha512", encoded: hex + hex });
  });

  test.each([
    ["", 'must be a digest, "algorithm:encoded", got ""'],
    ["sha256", 'must be a digest, "algorithm:encoded", got "sha256"'],
    [`SHA256:${hex}`, `must be a digest, "algorithm:encoded", got "SHA256:${hex}"`],
    [`sha256:${hex}\n`, `must be a digest, "algorithm:encoded", got "sha256:${hex}\\n"`],
    [
      `sha256:${hex.toUpperCase()}`,
      `must have 64 lower-case hex digits after "sha256:", got "sha256:${hex.toUpperCase()}"`,
    ],
    [
      `sha256:${hex.slice(1)}`,
      `must have 64 lower-case hex digits after "sha256:", got "sha256:${hex.slice(1)}"`,
    ],
    [`sha256:${hex}0`, `must have 64 lower-case hex digits after "sha256:", got "sha256:${hex}0"`],
    [`sha512:${hex}`, `must have 128 lower-case hex digits after "sha512:", got "sha512:${hex}"`],
    [`blake3:${hex}`, "digest algorithm blake3 is not supported: only sha256 and sha512 are"],
    ["constructor:a", "digest algorithm constructor is not supported: only sha256 and sha512 are"],
  ])("%p is not one to work with", (text, message) => {
    const error = refusal(() => parseDigest(text));
    expect([error.code, error.message]).toEqual(["INVALID_DIGEST", message]);
  });

  test("of algorithms unknown to us may stand in documents", () => {
    for (const digest of [
      "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
      `blake3:${hex}`,
    ]) {
      expect(parseDocument(Digest, digest, "it")).toBe(digest);
    }
  });

  test("that parse are always safe as a path of two parts", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(sha256|sha512|\.\.)[:/.a-f0-9]*$/)), (text) => {
        try {
          const { algorithm, encoded } = parseDigest(text);
          expect(`${algorithm}/${encoded}`).toMatch(/^sha(256|512)\/[a-f0-9]{64,128}$/);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(CtrError);
        }
      }),
    );
  });
});
