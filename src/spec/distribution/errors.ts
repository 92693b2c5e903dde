/**
 * The body of a registry's 4xx answer (distribution-spec, "Error Codes"). Not here: acting on it (image).
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText } from "../builders.ts";
import { PlainText } from "../scalars.ts";

/** `detail` is of any shape, and is for people. */
export const RegistryError = lazy(() =>
  object({ code: PlainText, message: optionalText(PlainText), detail: optional(v.unknown()) }),
);
export type RegistryError = v.InferOutput<typeof RegistryError>;

export const RegistryErrors = lazy(() => object({ errors: v.array(RegistryError) }));
export type RegistryErrors = v.InferOutput<typeof RegistryErrors>;
