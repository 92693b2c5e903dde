/**
 * Lines of a TOML file: where a key stands, and where text stops being TOML. Bun's parser says neither.
 * Not here: parsing values.
 */

/**
 * Line (from 1) on which the key at `path` stands: `["registries", "localhost:5000", "realms"]`; the line of the
 * nearest table above it where it is not found by itself; undefined where there is none.
 */
export function lineOfKey(text: string, path: readonly string[]): number | undefined {
  let table: readonly string[] = [];
  let best: { readonly line: number; readonly length: number } | undefined;
  let quote: string | undefined;
  text.split("\n").forEach((raw, index) => {
    const line = raw.trim();
    if (quote !== undefined) {
      if (line.includes(quote)) quote = undefined;
      return;
    }
    const header = /^\[{1,2}\s*(.+?)\s*\]{1,2}\s*(#.*)?$/.exec(line);
    const assigned = /^((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=(.*)$/.exec(
      line,
    );
    if (header?.[1] !== undefined) table = keyParts(header[1]);
    else if (assigned?.[1] === undefined) return;
    const here = assigned?.[1] === undefined ? table : [...table, ...keyParts(assigned[1])];
    quote = openedQuote(assigned?.[2] ?? "");
    const length = here.every((part, at) => part === path[at]) ? here.length : 0;
    if (length > 0 && length <= path.length && length > (best?.length ?? 0))
      best = { line: index + 1, length };
  });
  return best?.line;
}

/** Line on which `parse` begins to fail: that of the shortest beginning that fails in the same way as the whole. */
export function lineOfFault(text: string, parse: (text: string) => unknown): number | undefined {
  const messageOf = (part: string): string | undefined => {
    try {
      parse(part);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  const whole = messageOf(text);
  const lines = text.split("\n");
  for (let count = 1; count <= lines.length; count++) {
    if (messageOf(lines.slice(0, count).join("\n")) === whole) return count;
  }
  return undefined;
}

function keyParts(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|([\w-]+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? "");
}

/** The delimiter of a string of several lines that begins here and does not end here. */
function openedQuote(value: string): string | undefined {
  for (const quote of ['"""', "'''"]) {
    const start = value.indexOf(quote);
    if (start >= 0 && value.indexOf(quote, start + 3) < 0) return quote;
  }
  return undefined;
}
