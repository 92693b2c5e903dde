/**
 * The guard against documents that are a manifest to one reader and an index to another (CVE-2021-41190).
 * Not here: comparing `mediaType` with what the registry or the descriptor said (image).
 */
import * as v from "valibot";
import { rule } from "../builders.ts";

/** Goes before the schema of a document that must not have any of `foreign`, not even as `null`. */
export function without(kind: string, ...foreign: string[]) {
  return [
    v.custom<Record<string, unknown>>(
      (value) => typeof value === "object" && value !== null && !Array.isArray(value),
      "object",
    ),
    rule<Record<string, unknown>>((document, complain) => {
      for (const key of foreign) if (Object.hasOwn(document, key)) complain(`must not be in ${kind}`, key);
    }),
  ] as const;
}

/** `schemaVersion` of both documents. */
export const SchemaVersion = v.literal(2);
