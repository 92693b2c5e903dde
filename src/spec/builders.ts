/**
 * How schemas are put together: objects, maps, optional parts, parts made on first use, rules across fields.
 * Each builder is valibot's own with one habit of OCI documents added. Not here: single values (scalars.ts).
 */
import * as v from "valibot";

/** A schema whose content is made on first use, then kept: importing a schema file costs next to nothing. */
export function lazy<const T extends v.GenericSchema>(make: () => T): v.LazySchema<T> {
  let made: T | undefined;
  return v.lazy(() => {
    made ??= make();
    return made;
  });
}

/** An object whose unknown properties are ignored; unlike valibot's, an array is not one. */
export function object<const T extends v.ObjectEntries>(entries: T): v.ObjectSchema<T, undefined> {
  return refuseArrays(v.object(entries));
}

/** A map from string to `value`; an array is not one. A rule about the keys comes with `key`. */
export function map<const T extends v.GenericSchema>(
  value: T,
  key: v.GenericSchema<string, string> = anyKey,
): v.RecordSchema<v.GenericSchema<string, string>, T, undefined> {
  return refuseArrays(v.record(key, value));
}

const anyKey: v.GenericSchema<string, string> = v.string();

/**
 * A property that may be left out. `null` is the same as left out: that is what Go's JSON decoder makes of
 * it, and so what every tool that writes these documents relies on.
 */
export function optional<const T extends v.GenericSchema>(wrapped: T): v.OptionalSchema<T, undefined> {
  return absentWhen(v.optional(wrapped), (value) => value === null);
}

/** Like {@link optional}, where the empty string too means "not set" (Go's zero value of a string). */
export function optionalText<const T extends v.GenericSchema>(wrapped: T): v.OptionalSchema<T, undefined> {
  return absentWhen(v.optional(wrapped), (value) => value === null || value === "");
}

/** Like {@link optional}, with a value that stands in for the property that was left out. */
export function defaulted<const T extends v.GenericSchema, const D extends v.InferInput<T>>(
  wrapped: T,
  value: D,
): v.OptionalSchema<T, D> {
  return absentWhen(v.optional(wrapped, value) as v.OptionalSchema<T, D>, (input) => input === null);
}

/** Says what is wrong, and below which keys of the value that the rule is about. */
export type Complain = (message: string, ...keys: (string | number)[]) => void;

/** A rule across the fields of a value, for the end of a `v.pipe`. Runs only on what has the right types. */
export function rule<T>(judge: (value: T, complain: Complain) => void): v.RawCheckAction<T> {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    judge(dataset.value, (message, ...keys) => {
      const items = keys.map((key) => ({
        type: "unknown",
        origin: "value",
        input: undefined,
        key,
        value: undefined,
      }));
      const [first, ...rest] = items as v.UnknownPathItem[];
      addIssue(first === undefined ? { message } : { message, path: [first, ...rest] });
    });
  });
}

/**
 * The index of the first entry whose `type` an earlier one has. For rules; a plain loop, as array methods
 * with a callback are compiled when they are first called, and this runs once in a process.
 */
export function repeatedType(list: readonly { readonly type: string }[]): number | undefined {
  const seen = new Set<string>();
  for (let index = 0; index < list.length; index++) {
    const type = list[index]?.type ?? "";
    if (seen.has(type)) return index;
    seen.add(type);
  }
  return undefined;
}

function refuseArrays<T extends v.GenericSchema>(schema: T): T {
  const run = schema["~run"];
  return Object.assign(schema, {
    "~run"(dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) {
      if (!Array.isArray(dataset.value)) return run.call(schema, dataset, config);
      v._addIssue(schema, "type", dataset, config);
      return dataset;
    },
  });
}

function absentWhen<T extends v.GenericSchema>(schema: T, isAbsent: (value: unknown) => boolean): T {
  const run = schema["~run"];
  return Object.assign(schema, {
    "~run"(dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) {
      if (isAbsent(dataset.value)) dataset.value = undefined;
      return run.call(schema, dataset, config);
    },
  });
}
