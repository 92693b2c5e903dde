/**
 * Image references as people write them, `debian`, `ghcr.io/o/app:1`, `localhost:5000/x@sha256:...`, taken apart
 * strictly (distribution-spec, "Pulling manifests"; Docker's rules for what may be left out).
 * Not here: asking a registry (registry/) or a store (images.ts) what a reference stands for.
 */
import { type CtrError, fail } from "../error.ts";
import { parseDigest } from "../spec/image/digest.ts";

/** The registry of a reference that names none. */
export const DEFAULT_REGISTRY = "docker.io";
/** The tag of a reference that has neither tag nor digest. */
export const DEFAULT_TAG = "latest";

/** A reference with everything filled in: at least one of tag and digest is there. */
export interface Reference {
  /** Host and port: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** Path inside the registry: `library/debian`. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** Where both are given, the digest decides and the tag is for people. */
  readonly digest: string | undefined;
}

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const label = "(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])";
const registryPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]{1,5})?$`);
/** What many clients hold to (distribution-spec, implementers' note). */
const MAX_NAME = 255;
/** Registry, repository, tag and digest at their longest. */
const MAX_TEXT = 1024;

/**
 * Takes a reference apart.
 * @throws CtrError INVALID_REFERENCE that names the part, and where it can, what was meant.
 */
export function parseReference(text: string): Reference {
  if (text.length > MAX_TEXT) throw invalid(text, "is too long");
  if (text === "") throw invalid(text, "is empty", "give a name such as debian:12");
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw invalid(text, "has a scheme", `leave it out: ${JSON.stringify(text.replace(/^[^:]*:\/\//, ""))}`);
  }
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  if (digest !== undefined) checkDigest(text, digest);
  // A colon before the last slash belongs to the registry's port.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  if (tag !== undefined && !tagPattern.test(tag)) {
    throw invalid(text, `has a bad tag ${JSON.stringify(tag)}`, "a tag is 1 to 128 of A-Z a-z 0-9 _ . -");
  }
  const { registry, repository } = splitName(name);
  checkName(text, registry, repository);
  const usesDefault = tag === undefined && digest === undefined;
  return { registry, repository, tag: usesDefault ? DEFAULT_TAG : tag, digest };
}

/** Docker's rule: the first part is a registry if it could not be a part of a path, or is `localhost`. */
function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = /[.:[\]]/.test(first) || first === "localhost" || /[A-Z]/.test(first);
  const registry = isHost ? first : DEFAULT_REGISTRY;
  const repository = isHost ? name.slice(slash + 1) : name;
  if (registry !== DEFAULT_REGISTRY && registry !== "index.docker.io") return { registry, repository };
  const isOfficial = repository !== "" && !repository.includes("/");
  return { registry: DEFAULT_REGISTRY, repository: isOfficial ? `library/${repository}` : repository };
}

function checkDigest(text: string, digest: string): void {
  try {
    parseDigest(digest);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(
      text,
      `has a bad digest: ${why}`,
      "a digest is sha256: and 64 lower-case hex digits",
      cause,
    );
  }
}

function checkName(text: string, registry: string, repository: string): void {
  const port = Number(/:(\d+)$/.exec(registry)?.[1] ?? 1);
  if (!registryPattern.test(registry) || port < 1 || port > 65535) {
    throw invalid(text, `has a bad registry ${JSON.stringify(registry)}`, "a registry is HOST or HOST:PORT");
  }
  if (repository === "") throw invalid(text, "names no repository", `write ${registry}/NAME:TAG`);
  if (/[A-Z]/.test(repository)) {
    const written = text.includes(repository) ? repository : repository.replace(/^library\//, "");
    const lower = text.replace(written, written.toLowerCase());
    throw invalid(text, "has capital letters in the repository", `did you mean ${JSON.stringify(lower)}?`);
  }
  if (!repositoryPattern.test(repository)) {
    const hint = "parts are a-z and 0-9, with single . or _ or any number of - between, separated by /";
    throw invalid(text, `has a bad repository ${JSON.stringify(repository)}`, hint);
  }
  if (registry.length + 1 + repository.length > MAX_NAME) {
    throw invalid(text, `is too long: a registry with its repository has at most ${MAX_NAME} characters`);
  }
}

function invalid(text: string, why: string, hint?: string, cause?: unknown): CtrError {
  const shown = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
  return fail({ code: "INVALID_REFERENCE", message: `image reference ${shown} ${why}`, hint, cause });
}

/** Registry and repository: `docker.io/library/debian`. */
export function repositoryName(reference: Pick<Reference, "registry" | "repository">): string {
  return `${reference.registry}/${reference.repository}`;
}

/** The one full form, as it stands in the store: `docker.io/library/debian:12`, or with `@sha256:...` alone. */
export function canonicalName(reference: Reference): string {
  const { tag, digest } = reference;
  return `${repositoryName(reference)}${digest === undefined ? `:${tag ?? DEFAULT_TAG}` : `@${digest}`}`;
}

/** A repository as Docker shows it: `debian`, `someone/app`, `ghcr.io/o/app`. */
export function familiarRepository(reference: Pick<Reference, "registry" | "repository">): string {
  const { registry, repository } = reference;
  if (registry !== DEFAULT_REGISTRY) return repositoryName(reference);
  const official = /^library\/([^/]+)$/.exec(repository)?.[1];
  return official ?? repository;
}

/** A reference as Docker shows it, tag and digest as far as they are there: `debian:12`. */
export function familiarName(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  return `${familiarRepository(reference)}${tag}${reference.digest === undefined ? "" : `@${reference.digest}`}`;
}
