/**
 * Reading manifests, indexes and configs of images, with everything checked that one document can say about another:
 * media types, numbers of layers, what can be run at all. Not here: where the bytes are from (registry/, store/).
 */

import * as v from "valibot";
import { CtrError, fail } from "../error.ts";
import { object, optionalText } from "../spec/builders.ts";
import { ImageConfig } from "../spec/image/config.ts";
import { ImageIndex } from "../spec/image/index.ts";
import { ImageManifest } from "../spec/image/manifest.ts";
import {
  DOCKER_CONFIG,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  INDEX_TYPES,
  MANIFEST_TYPES,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../spec/image/media-types.ts";
import { MAX_DOCUMENT_BYTES, parseJson } from "../spec/parse.ts";
import { PlainText } from "../spec/scalars.ts";

/** A manifest or an index, known for what it is. */
export type ImageDocument =
  | { readonly kind: "manifest"; readonly mediaType: string; readonly manifest: ImageManifest }
  | { readonly kind: "index"; readonly mediaType: string; readonly index: ImageIndex };

/** Layers of one image; far above what any overlay can mount. */
const MAX_LAYERS = 1000;
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;
const isIndexType = (type: string) => INDEX_TYPES.some((known) => known === type);
const isManifestType = (type: string) => MANIFEST_TYPES.some((known) => known === type);

/** Only what tells one kind of document from another. */
const Outline = v.lazy(() =>
  object({
    schemaVersion: v.unknown(),
    mediaType: optionalText(PlainText),
    manifests: v.optional(v.unknown()),
  }),
);

/**
 * Reads a manifest or an index. What calls itself one thing, was sent as another, or is pointed to as a third, is
 * refused (CVE-2021-41190; distribution-spec, "Pulling manifests").
 * @param claims media types from outside: the answer's Content-Type, the descriptor's. Those of no image are ignored.
 * @throws CtrError INVALID_IMAGE, UNSUPPORTED for Docker's schema 1
 */
export function readDocument(
  bytes: Uint8Array,
  what: string,
  ...claims: readonly (string | undefined)[]
): ImageDocument {
  return asInvalidImage(what, () => {
    const outline = parseJson(Outline, bytes, "manifest");
    const { schemaVersion, mediaType } = outline;
    if (schemaVersion === 1 || claims.some((type) => type !== undefined && SCHEMA_1.test(type))) {
      throw fail({
        code: "UNSUPPORTED",
        message: `${what} is an image manifest of Docker's schema 1, which is no longer in use`,
        hint: "push the image again with a tool of this decade",
      });
    }
    const names = [mediaType, ...claims].filter((type) => type !== undefined);
    const known = new Set(names.filter((type) => isIndexType(type) || isManifestType(type)));
    if (mediaType !== undefined) known.add(mediaType);
    const [only, other] = known;
    if (other !== undefined) {
      throw invalid(what, `calls itself ${only} and is presented as ${other}`);
    }
    const type = only ?? (outline.manifests === undefined ? OCI_MANIFEST : OCI_INDEX);
    if (isIndexType(type)) {
      return { kind: "index", mediaType: type, index: parseJson(ImageIndex, bytes, "index") };
    }
    if (!isManifestType(type)) throw invalid(what, `is of type ${type}, which is no image`);
    const manifest = parseJson(ImageManifest, bytes, "manifest");
    return { kind: "manifest", mediaType: type, manifest };
  });
}

/** Checks a manifest for what its config must be like before that is fetched. */
export function checkManifest(manifest: ImageManifest, what: string): void {
  const { config, layers, artifactType } = manifest;
  if (config.mediaType !== OCI_CONFIG && config.mediaType !== DOCKER_CONFIG) {
    const type = artifactType ?? config.mediaType;
    throw invalid(what, `is an artifact of type ${type}, not an image of a container`);
  }
  if (config.size > MAX_DOCUMENT_BYTES) throw invalid(what, `has a config of ${config.size} bytes`);
  if (layers.length > MAX_LAYERS) throw invalid(what, `has ${layers.length} layers`);
}

/** Reads a config and checks it against its manifest. */
export function readConfig(bytes: Uint8Array, manifest: ImageManifest, what: string): ImageConfig {
  return asInvalidImage(what, () => {
    const config = parseJson(ImageConfig, bytes, "config");
    const { length } = config.rootfs.diff_ids;
    if (length !== manifest.layers.length) {
      throw invalid(what, `has ${manifest.layers.length} layers, and a config that names ${length}`);
    }
    const strange = config.rootfs.diff_ids.find((diffID) => !/^sha(?:256|512):/.test(diffID));
    if (strange !== undefined)
      throw invalid(what, `has a layer with a digest that cannot be checked: ${strange}`);
    return config;
  });
}

/** The media type of a manifest's twin: what an index of one family calls its manifests is not for the other. */
export function isDocumentType(type: string): boolean {
  return [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST].some((known) => known === type);
}

function invalid(what: string, why: string): CtrError {
  return fail({ code: "INVALID_IMAGE", message: `${what} ${why}`, hint: "ask whoever made the image" });
}

/** The faults that schemas find are the image's. */
function asInvalidImage<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const isSchemas = error instanceof Error && "code" in error && error.code === "INVALID_CONFIG";
    if (!isSchemas) throw error;
    const field = "field" in error && typeof error.field === "string" ? `${error.field}: ` : "";
    throw fail({
      code: "INVALID_IMAGE",
      message: `${what} is malformed: ${field}${error.message}`,
      hint: "ask whoever made the image",
      cause: error,
    });
  }
}

const BROKEN = new Set([
  "NOT_FOUND",
  "DAMAGED",
  "INVALID_IMAGE",
  "INVALID_DIGEST",
  "NO_PLATFORM",
  "UNSUPPORTED",
]);

/** Whether the image is at fault, and not this process, its limits or the disk. */
export function isBroken(error: unknown): boolean {
  return error instanceof CtrError && BROKEN.has(error.code);
}
