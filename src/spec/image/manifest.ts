/**
 * Image manifests, and Docker's schema 2 ones, which differ in media types only (image-spec manifest.md).
 * Not here: Docker's schema 1, which is refused; the config they point to (config.ts).
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText } from "../builders.ts";
import { oneOf, TextMap } from "../scalars.ts";
import { Descriptor, MediaType } from "./descriptor.ts";
import { MANIFEST_TYPES } from "./media-types.ts";
import { SchemaVersion, without } from "./polyglot.ts";

/** `layers` from the lowest up. An image without layers has an empty list (spec: at least one SHOULD be). */
export const ImageManifest = lazy(() =>
  v.pipe(
    ...without("an image manifest", "manifests", "fsLayers"),
    object({
      schemaVersion: SchemaVersion,
      mediaType: optionalText(oneOf(...MANIFEST_TYPES)),
      artifactType: optionalText(MediaType),
      config: Descriptor,
      layers: v.array(Descriptor),
      subject: optional(Descriptor),
      annotations: optional(TextMap),
    }),
  ),
);
export type ImageManifest = v.InferOutput<typeof ImageManifest>;
