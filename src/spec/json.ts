/**
 * JSON text to values and back, with two things that `JSON` leaves out: integers above 2^53 stay exact, as
 * bigints, and a syntax error says where it is. Not here: what the values should look like (parse.ts).
 */

/**
 * Parses JSON. An integer that a double cannot hold exactly becomes a bigint; every other number is a number.
 * @throws SyntaxError without a place (see {@link jsonFault}), RangeError where it is nested too deeply.
 */
export function readJson(text: string): unknown {
  // 2^53 has 16 digits: without as many in a row there is no such integer, and no need for the slow way.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}

/** Writes JSON, bigints as the plain integers that {@link readJson} reads. `indent` as in JSON.stringify. */
export function writeJson(value: unknown, indent?: string | number): string {
  const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
  return JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? raw(String(part)) : part), indent);
}

/** Where JSON text stops being JSON. Line and column count from 1, columns in UTF-16 units. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
  /** `expected "," or "}", got "x"`. */
  readonly message: string;
}

/** Finds what is wrong with text that `JSON.parse` refused; nothing, if it is only nested too deeply. */
export function jsonFault(text: string): JsonFault | undefined {
  const fault = scan(text);
  if (fault === undefined) return undefined;
  const [offset, expected] = fault;
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - before.lastIndexOf("\n");
  const character = text.codePointAt(offset);
  const got = character === undefined ? "the end" : JSON.stringify(String.fromCodePoint(character));
  return { line, column, message: `expected ${expected}, got ${got}` };
}

/** Walks JSON (RFC 8259) without recursion: the offset of the first fault and what should be there. */
function scan(text: string): [offset: number, expected: string] | undefined {
  const space = /[ \t\n\r]*/y;
  const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  const word = /true|false|null/y;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 names exactly these as not allowed
  const string = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
  const open: ("{" | "[")[] = [];
  let at = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.test(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  const quoted = (): string | undefined => {
    skip(string);
    if (text[at] === '"') at++;
    else return text[at] === "\\" ? 'an escape such as "\\n" or "\\u000a"' : "the closing quote of a string";
    return undefined;
  };
  let expects: "value" | "value or end" | "key" | "key or end" | "more" = "value";
  for (;;) {
    skip(space);
    const character = text[at];
    const inside = open.at(-1);
    if (expects === "more") {
      if (inside === undefined) return at < text.length ? [at, "the end"] : undefined;
      if (character === (inside === "{" ? "}" : "]")) {
        open.pop();
      } else if (character === ",") {
        expects = inside === "{" ? "key" : "value";
      } else {
        return [at, inside === "{" ? '"," or "}"' : '"," or "]"'];
      }
      at++;
    } else if (expects === "key" || expects === "key or end") {
      if (expects === "key or end" && character === "}") {
        expects = "more";
        continue;
      }
      if (character !== '"') return [at, expects === "key" ? "a quoted name" : 'a quoted name or "}"'];
      const wrong = quoted();
      if (wrong !== undefined) return [at, wrong];
      skip(space);
      if (text[at] !== ":") return [at, '":"'];
      at++;
      expects = "value";
    } else if (expects === "value or end" && character === "]") {
      expects = "more";
    } else if (character === "{" || character === "[") {
      open.push(character);
      at++;
      expects = character === "{" ? "key or end" : "value or end";
    } else if (character === '"') {
      const wrong = quoted();
      if (wrong !== undefined) return [at, wrong];
      expects = "more";
    } else if (skip(number) || skip(word)) {
      expects = "more";
    } else {
      return [at, expects === "value" ? "a value" : 'a value or "]"'];
    }
  }
}
