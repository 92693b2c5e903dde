/**
 * Descriptors, which point to content by digest, and the platform that one may name (image-spec
 * descriptor.md; image-index.md, "platform"). Not here: fetching or verifying what they point to (image).
 */
import * as v from "valibot";
import { lazy, object, optional, optionalText, rule } from "../builders.ts";
import { ByteSize, PlainText, TextMap } from "../scalars.ts";
import { Digest } from "./digest.ts";

const name = "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}";
const mediaType = new RegExp(`^${name}/${name}$`);

/** RFC 6838, without parameters. */
export const MediaType = v.pipe(
  v.string(),
  v.check((type) => mediaType.test(type), 'must be a media type, "type/subtype"'),
);

/** What a manifest is made for. Values are Go's: GOOS, GOARCH. */
export const Platform = lazy(() =>
  object({
    architecture: PlainText,
    os: PlainText,
    "os.version": optionalText(PlainText),
    "os.features": optional(v.array(PlainText)),
    variant: optionalText(PlainText),
    features: optional(v.array(PlainText)),
  }),
);
export type Platform = v.InferOutput<typeof Platform>;

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** `size` in bytes; `data`, where present, is the content itself in base64, and of that size. */
export const Descriptor = lazy(() =>
  v.pipe(
    object({
      mediaType: MediaType,
      digest: Digest,
      size: ByteSize,
      urls: optional(v.array(PlainText)),
      annotations: optional(TextMap),
      data: optionalText(
        v.pipe(
          v.string(),
          v.check((data) => base64.test(data), "must be base64 (RFC 4648, section 4)"),
        ),
      ),
      artifactType: optionalText(MediaType),
      platform: optional(Platform),
    }),
    rule(({ data, size }, complain) => {
      if (data === undefined) return;
      const length = (data.length / 4) * 3 - (data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0);
      if (length !== size) complain(`holds ${length} bytes where size says ${size}`, "data");
    }),
  ),
);
export type Descriptor = v.InferOutput<typeof Descriptor>;
