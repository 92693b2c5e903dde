/**
 * On which line of JSON text a value stands, for messages. Not here: reading JSON (json.ts).
 */

/** A token of JSON: a string, a bracket, a comma, a colon, or any other scalar. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * The line, from 1, of the value at a path: `["linux", "seccomp", "syscalls", 3]`. Undefined where there is none.
 * @param text is JSON without faults. Of a key that stands twice, the last one counts, as in JSON.parse.
 */
export function jsonLine(text: string, path: readonly (string | number)[]): number | undefined {
  let found: number | undefined;
  /** Where the walk is: the key or index in every object and array around it. */
  const at: (string | number)[] = [];
  const open: ("{" | "[")[] = [];
  let key: string | undefined;
  const isValue = (): boolean => at.length === path.length && at.every((part, index) => part === path[index]);
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const inside = open.at(-1);
    if (token === "}" || token === "]") {
      // An object without keys has nowhere to be.
      if (at.length === open.length) at.pop();
      open.pop();
    } else if (token === ",") {
      const last = at.pop();
      if (inside === "[") at.push(Number(last) + 1);
      else key = undefined;
    } else if (token === ":") {
      at.push(key ?? "");
    } else if (inside === "{" && at.length < open.length) {
      key = JSON.parse(token) as string;
    } else {
      if (isValue()) found = lineAt(text, index);
      if (token === "{" || token === "[") {
        open.push(token);
        key = undefined;
        if (token === "[") at.push(0);
      }
    }
  }
  return found;
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}
