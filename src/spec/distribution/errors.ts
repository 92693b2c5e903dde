/**
 * The body of a registry's 4xx answer (distribution-spec, "Error Codes"). Not here: acting on it (image).
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText } from "../builders.ts";
import { PlainText } from "../scalars.ts";

/** Codes of the specification (code-1 to code-14); registries have more of their own. */
export const REGISTRY_ERROR_CODES = [
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS",
] as const;

/** `detail` is of any shape, and is for people. */
export const RegistryError = lazy(() =>
  object({ code: PlainText, message: optionalText(PlainText), detail: optional(v.unknown()) }),
);
export type RegistryError = v.InferOutput<typeof RegistryError>;

export const RegistryErrors = lazy(() => object({ errors: v.array(RegistryError) }));
export type RegistryErrors = v.InferOutput<typeof RegistryErrors>;
