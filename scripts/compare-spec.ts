// Compares the schemas of src/spec with the JSON schemas, test documents and examples of the OCI
// specifications: `bun scripts/compare-spec.ts SPECS_DIR`, a folder with clones (or copies) of runtime-spec,
// image-spec and distribution-spec. Prints every difference and ends with 1 if there is one that is not
// listed in spec-fixtures/config/spec-differences.json with its reason. Not here: those, or windows and vm.

import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import known from "../spec-fixtures/config/spec-differences.json" with { type: "json" };
import { asCtrError, errorLine } from "../src/error.ts";
import { RegistryErrors } from "../src/spec/distribution/errors.ts";
import { TagList } from "../src/spec/distribution/tags.ts";
import { ImageConfig } from "../src/spec/image/config.ts";
import { Descriptor } from "../src/spec/image/descriptor.ts";
import { ImageIndex } from "../src/spec/image/index.ts";
import { ImageLayout } from "../src/spec/image/layout.ts";
import { ImageManifest } from "../src/spec/image/manifest.ts";
import * as media from "../src/spec/image/media-types.ts";
import { readJson } from "../src/spec/json.ts";
import { parseJson } from "../src/spec/parse.ts";
import { RuntimeConfig } from "../src/spec/runtime/config.ts";
import { Features } from "../src/spec/runtime/features.ts";
import { State } from "../src/spec/runtime/state.ts";

/** As much of JSON schema (draft 4) as the specifications use. */
interface JsonSchema {
  $ref?: string;
  type?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema;
  patternProperties?: Record<string, JsonSchema>;
  enum?: string[];
  pattern?: string;
  minimum?: number | bigint;
  maximum?: number | bigint;
  minItems?: number;
  allOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
}

/** What of a valibot schema can be looked into. */
interface OurSchema extends v.GenericSchema {
  readonly wrapped?: OurSchema;
  readonly getter?: (input: unknown) => OurSchema;
  readonly pipe?: readonly { readonly kind: string }[];
  readonly entries?: Readonly<Record<string, OurSchema>>;
  readonly item?: OurSchema;
  readonly value?: OurSchema;
  readonly options?: readonly string[];
}

const [specs] = process.argv.slice(2);
if (specs === undefined) {
  console.error("usage: bun scripts/compare-spec.ts SPECS_DIR");
  process.exit(2);
}

const differences: string[] = [];
const differ = (where: string, what: string): void => {
  differences.push(`${where}: ${what}`);
};

// ---- JSON schemas -------------------------------------------------------------------------------------

/** A JSON schema and the file that its references are relative to. */
interface Located {
  readonly schema: JsonSchema;
  readonly file: string;
}

function locate(file: string, pointer = ""): Located {
  let schema = readJson(readFileSync(file, "utf8"));
  for (const key of pointer.split("/").filter((part) => part !== "")) {
    schema = (schema as Record<string, unknown>)[key];
  }
  if (schema === undefined) throw new Error(`${file}: nothing at ${pointer}`);
  return { schema: schema as JsonSchema, file };
}

/** Follows references and folds `allOf`, and `anyOf`/`oneOf` of one thing (or null), into one schema. */
function resolve({ schema, file }: Located): Located {
  if (schema.$ref !== undefined) {
    const [target = "", pointer = ""] = schema.$ref.split("#");
    return resolve(locate(target === "" ? file : join(dirname(file), target), pointer));
  }
  if (schema.allOf !== undefined) {
    const parts = schema.allOf.map((part) => resolve({ schema: part, file }));
    const properties = Object.assign({}, ...parts.map((part) => part.schema.properties));
    const required = parts.flatMap((part) => part.schema.required ?? []);
    // All parts of the specifications' allOf have properties that refer to the file of the last one.
    return { schema: { type: "object", properties, required }, file: parts.at(-1)?.file ?? file };
  }
  const [choice, ...others] = (schema.anyOf ?? schema.oneOf ?? []).filter((part) => part.type !== "null");
  return choice !== undefined && others.length === 0 ? resolve({ schema: choice, file }) : { schema, file };
}

// ---- our schemas --------------------------------------------------------------------------------------

/** Takes off everything that is wrapped around the schema which says what a value is made of. */
function bare(schema: OurSchema): OurSchema {
  if (schema.getter !== undefined) return bare(schema.getter(undefined));
  if (schema.type === "optional" && schema.wrapped !== undefined) return bare(schema.wrapped);
  const parts = schema.pipe?.filter((part) => part.kind === "schema") as OurSchema[] | undefined;
  const last = parts?.at(-1);
  return last === undefined || last === schema ? schema : bare(last);
}

const accepts = (schema: OurSchema, value: unknown): boolean => v.safeParse(schema, value).success;

// ---- comparison ---------------------------------------------------------------------------------------

function compare(theirs: Located, ours: OurSchema, where: string): void {
  const { schema: their, file } = resolve(theirs);
  const within = ours.type === "optional" && ours.wrapped !== undefined ? ours.wrapped : ours;
  const our = bare(within);
  if (their.properties !== undefined) {
    if (our.entries === undefined) {
      differ(where, `object there, ${our.type} here`);
      return;
    }
    for (const key of Object.keys(our.entries)) {
      if (!Object.hasOwn(their.properties, key)) differ(`${where}.${key}`, "is extra here");
    }
    for (const [key, schema] of Object.entries(their.properties)) {
      const entry = our.entries[key];
      if (entry === undefined) {
        differ(`${where}.${key}`, "is missing here");
        continue;
      }
      const isRequired = their.required?.includes(key) === true;
      if (isRequired !== (entry.type !== "optional")) {
        differ(
          `${where}.${key}`,
          isRequired ? "is required there, optional here" : "is optional there, required here",
        );
      }
      compare({ schema, file }, entry, `${where}.${key}`);
    }
  } else if (their.items !== undefined) {
    if (our.item === undefined) {
      differ(where, `array there, ${our.type} here`);
      return;
    }
    if ((their.minItems ?? 0) > 0 === accepts(within, [])) differ(where, "empty array is judged differently");
    compare({ schema: their.items, file }, our.item, `${where}[]`);
  } else if (their.additionalProperties !== undefined || their.patternProperties !== undefined) {
    if (our.value === undefined) {
      differ(where, `map there, ${our.type} here`);
      return;
    }
    const schema = their.additionalProperties ?? Object.values(their.patternProperties ?? {})[0] ?? {};
    compare({ schema, file }, our.value, `${where}{}`);
  } else {
    compareScalar(their, within, where);
  }
}

function compareScalar(their: JsonSchema, ours: OurSchema, where: string): void {
  const wrong = [1.5, "x", true, {}, []].filter((value) => typeof value !== their.type);
  if (their.type !== "object" && wrong.some((value) => accepts(ours, value)))
    differ(where, `is not only ${their.type}`);
  if (their.enum !== undefined) {
    for (const value of their.enum) if (!accepts(ours, value)) differ(where, `${value} is refused here`);
    for (const value of bare(ours).options ?? [])
      if (!their.enum.includes(value)) differ(where, `${value} is extra here`);
    if (accepts(ours, "no-such-value")) differ(where, "any string is accepted here");
  } else if (their.type === "string" && their.pattern !== undefined) {
    const pattern = new RegExp(their.pattern);
    for (const probe of known.probes) {
      if (pattern.test(probe) !== accepts(ours, probe))
        differ(where, `${JSON.stringify(probe)} is judged differently`);
    }
  } else if (their.type === "string") {
    if (!known.probes.some((probe) => accepts(ours, probe))) differ(where, "no string is accepted here");
  } else if (their.type === "integer") {
    const { minimum, maximum } = their;
    for (const bound of [minimum, maximum])
      if (bound !== undefined && !accepts(ours, bound)) differ(where, `${bound} is refused here`);
    if (minimum !== undefined && accepts(ours, fit(BigInt(minimum) - 1n)))
      differ(where, `less than ${minimum} is accepted here`);
    if (maximum !== undefined && accepts(ours, fit(BigInt(maximum) + 1n)))
      differ(where, `more than ${maximum} is accepted here`);
    if (accepts(ours, 0.5)) differ(where, "a fraction is accepted here");
  } else if (their.type === "boolean") {
    if (!accepts(ours, true) || !accepts(ours, false)) differ(where, "a boolean is refused here");
  } else if (their.type === "object") {
    if (!accepts(ours, {})) differ(where, "{} is refused here");
  } else {
    differ(where, `${JSON.stringify(their)} is not understood`);
  }
}

/** As it would come out of JSON: a bigint only where a number is not exact. */
const fit = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

// ---- documents ----------------------------------------------------------------------------------------

function judge(schema: v.GenericSchema, text: string, where: string, isGood: boolean): void {
  try {
    parseJson(schema, text, where);
    if (!isGood) differ(where, "is accepted here");
  } catch (thrown) {
    if (isGood) differ(where, `is refused here: ${errorLine(asCtrError(thrown))}`);
  }
}

/** ```` ```json,title=...&mediatype=... ```` blocks of image-spec; those without a media type are fragments. */
function judgeExamples(file: string): number {
  const kinds: Record<string, v.GenericSchema> = {
    [media.OCI_CONFIG]: ImageConfig,
    [media.OCI_DESCRIPTOR]: Descriptor,
    [media.OCI_INDEX]: ImageIndex,
    [media.OCI_LAYOUT_HEADER]: ImageLayout,
    [media.OCI_MANIFEST]: ImageManifest,
  };
  let count = 0;
  for (const [, type = "", text = ""] of readFileSync(file, "utf8").matchAll(
    /^ *```json[^\n]*mediatype=(\S+)\n(.*?)^ *```$/gms,
  )) {
    const where = `${basename(file)} example ${++count}`;
    const schema = kinds[decodeURIComponent(type)];
    if (schema === undefined) differ(where, `no schema for ${type}`);
    else judge(schema, text, where, true);
  }
  return count;
}

const runtime = join(specs, "runtime-spec/schema");
compare(locate(join(runtime, "config-schema.json")), RuntimeConfig, "config");
compare(locate(join(runtime, "state-schema.json")), State, "state");
compare(locate(join(runtime, "features-schema.json")), Features, "features");
const image = join(specs, "image-spec/schema");
compare(locate(join(image, "content-descriptor.json")), Descriptor, "descriptor");
compare(locate(join(image, "image-index-schema.json")), ImageIndex, "index");
compare(locate(join(image, "image-manifest-schema.json")), ImageManifest, "manifest");
compare(locate(join(image, "config-schema.json")), ImageConfig, "image config");
compare(locate(join(image, "image-layout-schema.json")), ImageLayout, "layout");

let documents = 0;
for (const [folder, schema] of [
  ["config", RuntimeConfig],
  ["state", State],
  ["features", Features],
] as const) {
  for (const kind of ["good", "bad"]) {
    for (const name of readdirSync(join(runtime, "test", folder, kind))) {
      const path = join(runtime, "test", folder, kind, name);
      judge(schema, readFileSync(path, "utf8"), `${folder}/${kind}/${name}`, kind === "good");
      documents++;
    }
  }
}
for (const name of readdirSync(join(specs, "image-spec")).filter((entry) => entry.endsWith(".md"))) {
  documents += judgeExamples(join(specs, "image-spec", name));
}
// distribution-spec has no JSON schemas: its two documents stand in the text, with placeholders.
const distribution = readFileSync(join(specs, "distribution-spec/spec.md"), "utf8");
for (const [schema, start] of [
  [RegistryErrors, '"errors"'],
  [TagList, '"tags"'],
] as const) {
  const at = distribution.indexOf(start);
  const text = distribution.slice(
    distribution.lastIndexOf("```json", at) + 7,
    distribution.indexOf("```", at),
  );
  judge(schema, text.replaceAll(/<[^>"]*>/g, "x").replaceAll(/,\s*\.\.\./g, ""), `spec.md ${start}`, true);
  documents++;
}

/** A line of the list of deliberate differences: `*` stands for any text, `?` for one character. */
function matches(line: string, pattern: string): boolean {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${escaped}$`, "s").test(line);
}

const patterns = Object.values(known.deliberate).flat();
for (const [reason, some] of Object.entries(known.deliberate)) {
  console.log(`deliberate: ${reason}`);
  for (const pattern of some) console.log(`  ${pattern}`);
}
const unexplained = differences.filter((line) => !patterns.some((pattern) => matches(line, pattern)));
const stale = patterns.filter((pattern) => !differences.some((line) => matches(line, pattern)));
for (const line of unexplained) console.log(`DIFFERENT  ${line}`);
for (const pattern of stale) console.log(`NO LONGER DIFFERENT  ${pattern}`);
console.log(
  `${documents} documents, ${differences.length} differences, ${unexplained.length} of them unexplained`,
);
process.exitCode = unexplained.length + stale.length > 0 ? 1 : 0;
