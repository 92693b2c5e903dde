/**
 * A registry's list of tags, one page of it (distribution-spec, "Listing Tags"). Not here: paging (image).
 */
import * as v from "valibot";
import { lazy, object, optional } from "../builders.ts";
import { PlainText } from "../scalars.ts";

/** `tags` is missing, or null, where a repository has none. */
export const TagList = lazy(() => object({ name: PlainText, tags: optional(v.array(PlainText)) }));
export type TagList = v.InferOutput<typeof TagList>;
