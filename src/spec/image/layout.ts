/**
 * The `oci-layout` file that marks a directory as an image layout (image-spec image-layout.md).
 * Not here: the directory itself (image).
 */
import * as v from "valibot";
import { lazy, object } from "../builders.ts";

export const IMAGE_LAYOUT_VERSION = "1.0.0";

export const ImageLayout = lazy(() => object({ imageLayoutVersion: v.literal(IMAGE_LAYOUT_VERSION) }));
export type ImageLayout = v.InferOutput<typeof ImageLayout>;
