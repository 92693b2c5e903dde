/**
 * Image configurations: what to run, and the layers by their uncompressed digests (image-spec config.md),
 * with the properties that Docker adds. Not here: merging with what a person asks for (engine).
 */
import * as v from "valibot";
import { lazy, map, object, optional, optionalText } from "../builders.ts";
import { Flag, Int64, PlainText, Text, TextList, TextMap } from "../scalars.ts";
import { Digest } from "./digest.ts";

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** RFC 3339, section 5.6. Kept as it is written: nanoseconds would not survive a Date. */
export const DateTime = v.pipe(
  v.string(),
  v.check((time) => rfc3339.test(time), 'must be a time such as "2024-01-31T12:00:00Z"'),
);

/** Go's `map[string]struct{}`: only the keys mean anything. */
const KeySet = lazy(() => map(object({})));

/** Docker's HEALTHCHECK. Times in nanoseconds. */
export const Healthcheck = lazy(() =>
  object({
    Test: optional(TextList),
    Interval: optional(Int64),
    Timeout: optional(Int64),
    StartPeriod: optional(Int64),
    StartInterval: optional(Int64),
    Retries: optional(Int64),
  }),
);
export type Healthcheck = v.InferOutput<typeof Healthcheck>;

/** Defaults for containers made from the image. */
export const ContainerDefaults = lazy(() =>
  object({
    User: optionalText(Text),
    ExposedPorts: optional(KeySet),
    Env: optional(TextList),
    Entrypoint: optional(TextList),
    Cmd: optional(TextList),
    Volumes: optional(KeySet),
    WorkingDir: optionalText(Text),
    Labels: optional(TextMap),
    StopSignal: optionalText(Text),
    ArgsEscaped: optional(Flag),
    Memory: optional(Int64),
    MemorySwap: optional(Int64),
    CpuShares: optional(Int64),
    Healthcheck: optional(Healthcheck),
    Hostname: optionalText(Text),
    OnBuild: optional(TextList),
    Shell: optional(TextList),
    StopTimeout: optional(Int64),
  }),
);
export type ContainerDefaults = v.InferOutput<typeof ContainerDefaults>;

/** One step of how the image was made; those with `empty_layer` have no layer. */
export const HistoryEntry = lazy(() =>
  object({
    created: optionalText(DateTime),
    author: optionalText(PlainText),
    created_by: optionalText(PlainText),
    comment: optionalText(PlainText),
    empty_layer: optional(Flag),
  }),
);
export type HistoryEntry = v.InferOutput<typeof HistoryEntry>;

/** `rootfs.diff_ids` from the lowest layer up. */
export const ImageConfig = lazy(() =>
  object({
    created: optionalText(DateTime),
    author: optionalText(PlainText),
    architecture: PlainText,
    variant: optionalText(PlainText),
    os: PlainText,
    "os.version": optionalText(PlainText),
    "os.features": optional(v.array(PlainText)),
    config: optional(ContainerDefaults),
    rootfs: object({ type: v.literal("layers"), diff_ids: v.array(Digest) }),
    history: optional(v.array(HistoryEntry)),
  }),
);
export type ImageConfig = v.InferOutput<typeof ImageConfig>;
