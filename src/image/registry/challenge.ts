/**
 * Reading WWW-Authenticate (RFC 9110, section 11.6.1): which scheme a registry asks for, with its parameters.
 * Not here: answering it (auth.ts).
 */

/** One challenge. Scheme and names of parameters in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const MAX_HEADER = 8192;

/** All challenges of a header, in order. What cannot be read is left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const text = header.slice(0, MAX_HEADER);
  let at = 0;
  const read = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    at = pattern.lastIndex;
    return found[0];
  };
  while (at < text.length) {
    read(/[ \t,]*/y);
    const word = read(token);
    if (word === undefined) {
      if (at < text.length) at++;
      continue;
    }
    const equals = read(/[ \t]*=[ \t]*/y);
    if (equals === undefined) {
      challenges.push({ scheme: word.toLowerCase(), parameters: {} });
      continue;
    }
    const quoted = read(/"(?:[^"\\]|\\.)*"/y);
    const value = quoted === undefined ? read(token) : quoted.slice(1, -1).replace(/\\(.)/g, "$1");
    const last = challenges.at(-1);
    if (last !== undefined && value !== undefined) last.parameters[word.toLowerCase()] = value;
  }
  return challenges;
}
