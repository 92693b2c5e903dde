/**
 * `-v`, `--tmpfs` and `--mount` to what they ask for. Text in, values out.
 * Not here: whether a source exists (engine/sources.ts); the mounts of config.json (mounts.ts).
 */
import { type CtrError, fail } from "../../error.ts";
import { cleanPath } from "./command.ts";
import { parseSize } from "./size.ts";

/** A mount that a person asked for. */
export interface MountRequest {
  readonly type: "bind" | "tmpfs" | "volume";
  /** Absolute host path of a bind; an anonymous volume and a tmpfs have none. */
  readonly source: string | undefined;
  /** Clean absolute path inside. */
  readonly target: string;
  readonly readonly: boolean;
  /** Of a bind: `rprivate` unless asked otherwise. */
  readonly propagation: string;
  /** More options of a tmpfs: `size=65536k`. */
  readonly options: readonly string[];
  /** The flag, for messages. */
  readonly field: string;
}

const PROPAGATION = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
/** Accepted for Docker's sake: SELinux labels, macOS caching. They change nothing on this host. */
const IGNORED = ["z", "Z", "nocopy", "consistent", "cached", "delegated"];

/** `-v SOURCE:TARGET[:OPTIONS]`, or `-v TARGET` for an anonymous volume. `cwd` is what a relative source is from. */
export function parseVolumeFlag(text: string, cwd: string): MountRequest {
  const field = "--volume";
  const parts = text.split(":");
  if (parts.length > 3) throw badMount(field, text, "has too many colons", "write SOURCE:TARGET[:ro]");
  const [first = "", second, third = ""] = parts;
  if (second === undefined) {
    return { ...plain("volume", undefined, target(first, text, field), field) };
  }
  const source = hostPath(first, cwd);
  if (source === undefined) throw namedVolume(field, text, first);
  let request = plain("bind", source, target(second, text, field), field);
  for (const option of third.split(",").filter((each) => each !== "")) {
    if (option === "ro" || option === "readonly") request = { ...request, readonly: true };
    else if (option === "rw") request = { ...request, readonly: false };
    else if (PROPAGATION.includes(option)) request = { ...request, propagation: option };
    else if (!IGNORED.includes(option)) {
      const hint = `options are ro, rw, ${PROPAGATION.join(", ")}`;
      throw badMount(field, text, `has an option that is not known, ${JSON.stringify(option)}`, hint);
    }
  }
  return request;
}

/** `--tmpfs TARGET[:OPTIONS]`, options as mount(8) writes them. */
export function parseTmpfsFlag(text: string): MountRequest {
  const field = "--tmpfs";
  const colon = text.indexOf(":");
  const options = colon < 0 ? [] : text.slice(colon + 1).split(",");
  const request = plain(
    "tmpfs",
    undefined,
    target(colon < 0 ? text : text.slice(0, colon), text, field),
    field,
  );
  for (const option of options) {
    if (option !== "" && !/^[a-z_]+(=[\w%.-]+)?$/.test(option)) {
      const hint = "write --tmpfs /run:size=64m,mode=755";
      throw badMount(field, text, `has a bad option ${JSON.stringify(option)}`, hint);
    }
  }
  return {
    ...request,
    readonly: options.includes("ro"),
    options: options.filter((option) => !["", "ro", "rw"].includes(option)),
  };
}

/** `--mount type=bind,source=/a,target=/b,readonly`: Docker's keys. A value with a comma stands in double quotes. */
export function parseMountFlag(text: string, cwd: string): MountRequest {
  const field = "--mount";
  const keys = new Map<string, string>();
  for (const part of csv(text, field)) {
    const equals = part.indexOf("=");
    keys.set(
      (equals < 0 ? part : part.slice(0, equals)).toLowerCase(),
      equals < 0 ? "" : part.slice(equals + 1),
    );
  }
  const take = (...names: string[]): string | undefined => {
    let value: string | undefined;
    for (const name of names) {
      value ??= keys.get(name);
      keys.delete(name);
    }
    return value;
  };
  const type = take("type") ?? "volume";
  const inside = target(take("target", "destination", "dst") ?? "", text, field);
  const source = take("source", "src");
  const readonly = yes(take("readonly", "ro"), text, field);
  let request: MountRequest;
  if (type === "bind") {
    request = { ...bind(source, inside, cwd, text, field), readonly };
    const propagation = take("bind-propagation") ?? request.propagation;
    if (!PROPAGATION.includes(propagation)) {
      throw badMount(field, text, "has a bad bind-propagation", `it is one of ${PROPAGATION.join(", ")}`);
    }
    request = { ...request, propagation };
    take("consistency");
  } else if (type === "tmpfs") {
    if (source !== undefined) throw badMount(field, text, "has a source", "a tmpfs has none: leave it out");
    request = { ...plain("tmpfs", undefined, inside, field), readonly, options: tmpfsOptions(take, text) };
  } else if (type === "volume") {
    if (source !== undefined && source !== "") throw namedVolume(field, text, source);
    request = { ...plain("volume", undefined, inside, field), readonly };
    take("volume-nocopy");
  } else {
    throw badMount(field, text, `has type ${JSON.stringify(type)}`, "types are bind, tmpfs and volume");
  }
  for (const key of keys.keys()) {
    throw badMount(field, text, `has a key that a ${type} mount has not, ${JSON.stringify(key)}`);
  }
  return request;
}

function tmpfsOptions(take: (name: string) => string | undefined, text: string): string[] {
  const size = take("tmpfs-size");
  const mode = take("tmpfs-mode");
  if (mode !== undefined && !/^[0-7]{1,5}$/.test(mode)) {
    throw badMount("--mount", text, "has a bad tmpfs-mode", "write it in octal: 1777");
  }
  const bytes = size === undefined ? undefined : parseSize(size, "--mount tmpfs-size");
  return [...(bytes === undefined ? [] : [`size=${bytes}`]), ...(mode === undefined ? [] : [`mode=${mode}`])];
}

function bind(
  source: string | undefined,
  inside: string,
  cwd: string,
  text: string,
  field: string,
): MountRequest {
  if (source === undefined || source === "") throw badMount(field, text, "has no source", "add source=/PATH");
  return plain(
    "bind",
    source.startsWith("/") ? cleanPath(source) : cleanPath(`${cwd}/${source}`),
    inside,
    field,
  );
}

function plain(
  type: MountRequest["type"],
  source: string | undefined,
  inside: string,
  field: string,
): MountRequest {
  return { type, source, target: inside, readonly: false, propagation: "rprivate", options: [], field };
}

/** An absolute path, or one that starts with `.` and so can be no name; undefined for a name. */
function hostPath(text: string, cwd: string): string | undefined {
  if (text.startsWith("/")) return cleanPath(text);
  return /^\.\.?(\/|$)/.test(text) ? cleanPath(`${cwd}/${text}`) : undefined;
}

function target(path: string, text: string, field: string): string {
  if (!path.startsWith("/")) {
    throw badMount(
      field,
      text,
      path === "" ? "has no path inside the container" : "has a relative path inside",
    );
  }
  const clean = cleanPath(path);
  if (clean === "/") throw badMount(field, text, "would cover the whole root", "mount below /");
  return clean;
}

function yes(value: string | undefined, text: string, field: string): boolean {
  if (value === undefined || /^(0|false)$/.test(value)) return false;
  if (/^(|1|true)$/.test(value)) return true;
  throw badMount(field, text, `has readonly=${value}`, "it is true or false");
}

/** One record of RFC 4180, which is what Docker reads here. */
function csv(text: string, field: string): string[] {
  const parts: string[] = [];
  let at = 0;
  while (at <= text.length) {
    const quoted = text[at] === '"';
    const end = quoted ? closingQuote(text, at) : text.indexOf(",", at);
    if (quoted && end < 0) throw badMount(field, text, "has a quote that does not end");
    const stop = quoted ? end : end < 0 ? text.length : end;
    parts.push(quoted ? text.slice(at + 1, stop).replaceAll('""', '"') : text.slice(at, stop));
    at = quoted ? stop + 1 : stop;
    if (at < text.length && text[at] !== ",") throw badMount(field, text, "has text behind a quote");
    at++;
  }
  return parts.filter((part) => part !== "");
}

function closingQuote(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] !== '"') continue;
    if (text[at + 1] !== '"') return at;
    at++;
  }
  return -1;
}

function namedVolume(field: string, text: string, name: string): CtrError {
  return fail({
    code: "UNSUPPORTED",
    field,
    message: `${JSON.stringify(text)}: named volumes do not exist yet`,
    hint: `for a directory of the host write an absolute path, or ./${name}`,
  });
}

function badMount(field: string, text: string, why: string, hint?: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message: `${JSON.stringify(text)} ${why}`, hint });
}
