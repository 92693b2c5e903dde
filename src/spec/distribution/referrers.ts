/**
 * The answer of a registry's referrers API: an image index (distribution-spec, "Listing Referrers").
 * Not here: the tag schema that older registries need instead (image).
 */
export { ImageIndex as Referrers } from "../image/index.ts";
