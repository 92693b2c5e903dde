/**
 * Image indexes, and Docker's manifest lists, which differ in media types only (image-spec image-index.md).
 * Also the answer of a registry's referrers API. Not here: choosing a platform (image).
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText } from "../builders.ts";
import { oneOf, TextMap } from "../scalars.ts";
import { Descriptor, MediaType } from "./descriptor.ts";
import { INDEX_TYPES } from "./media-types.ts";
import { SchemaVersion, without } from "./polyglot.ts";

export const ImageIndex = lazy(() =>
  v.pipe(
    ...without("an image index", "config", "layers", "fsLayers"),
    object({
      schemaVersion: SchemaVersion,
      mediaType: optionalText(oneOf(...INDEX_TYPES)),
      artifactType: optionalText(MediaType),
      manifests: v.array(Descriptor),
      subject: optional(Descriptor),
      annotations: optional(TextMap),
    }),
  ),
);
export type ImageIndex = v.InferOutput<typeof ImageIndex>;
