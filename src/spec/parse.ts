/**
 * The way in for every document: text to JSON to a checked value, or one error that says where and what.
 * Not here: the schemas, or reading files (whoever holds the file).
 */
import * as v from "valibot";
import { fail } from "../error.ts";
import { jsonFault, readJson } from "./json.ts";

/** 4 MiB: what registries accept for a manifest (distribution-spec), and far above any config.json. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

/**
 * Checks a value against a schema and returns what the schema makes of it: unknown properties dropped.
 * @param what names the document to a person: `config.json`.
 * @throws CtrError INVALID_CONFIG for the first fault: `field` its path, `mounts[3].options[0]`; `step`
 *   names the document.
 */
export function parseDocument<const T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  what: string,
): v.InferOutput<T> {
  const outcome = v.safeParse(schema, value, { abortEarly: true });
  if (outcome.success) return outcome.output;
  throw refuseIssue(outcome.issues[0], what);
}

/**
 * Parses JSON text, or bytes of UTF-8, and checks it like {@link parseDocument}. Integers in the schema have
 * to be those of scalars.ts: `v.number()` would take a rounded one above 2^53 for good.
 * @throws CtrError INVALID_CONFIG, also for text that is not JSON (`field`: `config.json:3:14`) or is above
 *   `maxBytes`.
 */
export function parseJson<const T extends v.GenericSchema>(
  schema: T,
  source: string | Uint8Array,
  what: string,
  maxBytes: number = MAX_DOCUMENT_BYTES,
): v.InferOutput<T> {
  if (isAbove(source, maxBytes)) throw refuse(what, `${what}: must not be above ${maxBytes} bytes`);
  const text = typeof source === "string" ? source : decode(source, what);
  // Schemas take no integer that a double does not hold exactly, so a document with one fails at first. Only
  // then is it worth reading again the slow way, which makes bigints of such integers.
  const outcome = v.safeParse(schema, jsonValue(text, what, JSON.parse), { abortEarly: true });
  return outcome.success ? outcome.output : parseDocument(schema, jsonValue(text, what, readJson), what);
}

function jsonValue(text: string, what: string, read: (text: string) => unknown): unknown {
  try {
    return read(text);
  } catch (cause) {
    const fault = cause instanceof SyntaxError ? jsonFault(text) : undefined;
    if (fault === undefined) throw refuse(what, `${what}: JSON is nested too deeply`, undefined, cause);
    const { line, column, message } = fault;
    throw refuse(what, `not valid JSON: ${message}`, `${what}:${line}:${column}`, cause);
  }
}

function refuseIssue(issue: v.BaseIssue<unknown>, what: string) {
  const field = issue.path === undefined ? undefined : fieldPath(issue.path);
  const message = explain(issue);
  return refuse(what, field === undefined ? `${what}: ${message}` : message, field);
}

/** A UTF-16 unit is 1 to 3 bytes of UTF-8: only in between does it take counting. */
function isAbove(source: string | Uint8Array, maxBytes: number): boolean {
  if (typeof source !== "string") return source.byteLength > maxBytes;
  if (source.length > maxBytes || source.length * 3 <= maxBytes) return source.length > maxBytes;
  return Buffer.byteLength(source) > maxBytes;
}

function decode(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw refuse(what, `${what}: not valid UTF-8`, undefined, cause);
  }
}

function refuse(what: string, message: string, field?: string, cause?: unknown) {
  return fail({ code: "INVALID_CONFIG", message, field, step: `read ${what}`, cause });
}

/** `mounts[3].options[0]`; a key that is not a plain name in quotes: `annotations["org.example/x"]`. */
function fieldPath(path: readonly v.IssuePathItem[]): string {
  let field = "";
  for (const { key } of path) {
    if (typeof key === "number") field += `[${key}]`;
    else if (typeof key === "string" && /^[A-Za-z_][\w-]*$/.test(key))
      field += field === "" ? key : `.${key}`;
    else field += `[${quote(String(key))}]`;
  }
  return field;
}

function explain(issue: v.BaseIssue<unknown>): string {
  const { input } = issue;
  // Checks and rules are worded as whole phrases, "must ..."; the text that broke one is worth showing.
  if (issue.kind === "validation") {
    return typeof input === "string" && input !== ""
      ? `${issue.message}, got ${quote(input)}`
      : issue.message;
  }
  if (input === undefined && issue.path !== undefined) return "is required";
  return `expected ${expectation(issue)}, got ${received(issue)}`;
}

function expectation(issue: v.BaseIssue<unknown>): string {
  if (issue.type === "custom") return issue.message;
  const expected = issue.expected ?? "another value";
  if (issue.type === "picklist")
    return `one of ${expected.replace(/^\((.*)\)$/, "$1").replaceAll(" | ", ", ")}`;
  return issue.type === "literal" ? expected : expected.toLowerCase();
}

/** The value where another of its type would do, else its type. */
function received({ type, input }: v.BaseIssue<unknown>): string {
  if (input === undefined) return "nothing";
  if (input === null) return "null";
  if (Array.isArray(input)) return "array";
  const isScalar = type === "custom" || type === "picklist" || type === "literal";
  if (typeof input === "string") return isScalar ? quote(input) : "string";
  if (typeof input === "number" || typeof input === "bigint") return isScalar ? String(input) : "number";
  return typeof input;
}

/** In quotes, on one line, and not too long for it. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
