/**
 * `--format`: `json`, or a template as Docker's users write them, as far as fields go: `{{.Names}}`, `{{json .}}`,
 * `{{.State.Pid}}`, `{{index .Labels "x"}}`, and `table ...` before it. Not here: which fields there are.
 */
import { usage } from "./argv.ts";
import { table } from "./table.ts";

/** Lines for values, a newline at the end of each. */
export function formatAll(values: readonly unknown[], format: string, verb: string): string {
  if (format === "json") return values.map((value) => `${JSON.stringify(value)}\n`).join("");
  const isTable = /^table\s/.test(format);
  const template = unescaped(isTable ? format.replace(/^table\s+/, "") : format);
  if (!isTable) return values.map((value) => `${fill(template, value, verb)}\n`).join("");
  const cells = template.split("\t");
  const heading = cells.map((cell) =>
    cell.replace(/\{\{\s*(?:json\s+)?\.?([\w.]*)\s*\}\}/g, "$1").toUpperCase(),
  );
  return table(
    heading,
    values.map((value) => cells.map((cell) => fill(cell, value, verb))),
  );
}

/** One value by one template. @throws CtrError USAGE for what no field is, or no template we know. */
export function fill(template: string, value: unknown, verb: string): string {
  return template.replace(/\{\{(.*?)\}\}/g, (_whole, inside: string) => evaluate(inside.trim(), value, verb));
}

function evaluate(expression: string, value: unknown, verb: string): string {
  const [, path] = /^json\s+(\.[\w.]*)$/.exec(expression) ?? [];
  if (path !== undefined) return JSON.stringify(field(path, value, verb));
  const [, holder, key] = /^index\s+(\.[\w.]*)\s+"([^"]*)"$/.exec(expression) ?? [];
  if (holder !== undefined && key !== undefined) {
    const map = field(holder, value, verb);
    const found = isMap(map) && Object.hasOwn(map, key) ? map[key] : undefined;
    return found === undefined ? "" : shown(found);
  }
  if (/^\.[\w.]*$/.test(expression)) return shown(field(expression, value, verb));
  throw usage(
    `--format: {{${expression}}} is not understood`,
    verb,
    'fields ({{.ID}}), {{json .ID}} and {{index .Labels "x"}} are',
  );
}

function field(path: string, value: unknown, verb: string): unknown {
  let at = value;
  for (const name of path.split(".").filter((part) => part !== "")) {
    if (!isMap(at) || !Object.hasOwn(at, name)) {
      const known = isMap(at) ? Object.keys(at) : [];
      throw usage(`--format: there is no field ${path}`, verb, `fields are ${known.join(", ") || "none"}`);
    }
    at = at[name];
  }
  return at;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function unescaped(text: string): string {
  return text.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}
