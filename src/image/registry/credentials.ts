/**
 * Credentials that other tools have stored: Docker's config.json with its helpers, Podman's auth.json. Read when a
 * registry asks, never written, never logged. Not here: who they may be sent to (realm.ts, http.ts).
 */
import * as v from "valibot";
import { type CtrError, fail } from "../../error.ts";
import { readTextIfAny } from "../../kernel/file.ts";
import { map, object, optional, optionalText } from "../../spec/builders.ts";
import { parseJson } from "../../spec/parse.ts";
import { PlainText } from "../../spec/scalars.ts";
import { askHelper } from "./helper.ts";
import type { Credential } from "./options.ts";

/** docker-config.json(5), containers-auth.json(5). */
const AuthFile = v.lazy(() =>
  object({
    auths: optional(
      map(
        object({
          auth: optionalText(PlainText),
          username: optionalText(PlainText),
          password: optionalText(PlainText),
          identitytoken: optionalText(PlainText),
          registrytoken: optionalText(PlainText),
        }),
      ),
    ),
    credHelpers: optional(map(PlainText)),
    credsStore: optionalText(PlainText),
  }),
);
type AuthFile = v.InferOutput<typeof AuthFile>;
type AuthEntry = NonNullable<AuthFile["auths"]>[string];

/** Docker Hub under all of its names; the first is what Docker's own tools store. */
const HUB_KEY = "https://index.docker.io/v1/";
const HUB_NAMES = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);

/** Files in which credentials may be, in the order in which they are asked. */
export function authFiles(environment: Readonly<Record<string, string | undefined>> = process.env): string[] {
  const { DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, HOME } = environment;
  const home = HOME ?? "/root";
  const uid = process.getuid?.() ?? 0;
  return [
    `${DOCKER_CONFIG ?? `${home}/.docker`}/config.json`,
    ...(REGISTRY_AUTH_FILE === undefined ? [] : [REGISTRY_AUTH_FILE]),
    XDG_RUNTIME_DIR === undefined
      ? `/run/containers/${uid}/auth.json`
      : `${XDG_RUNTIME_DIR}/containers/auth.json`,
    `${XDG_CONFIG_HOME ?? `${home}/.config`}/containers/auth.json`,
  ];
}

/**
 * The credential stored for a repository, or none.
 * @throws CtrError INVALID_CONFIG for a file that cannot be read as JSON, CREDENTIAL_HELPER for a helper that fails.
 */
export async function findCredential(
  registry: string,
  repository: string,
  files: readonly string[] = authFiles(),
): Promise<Credential | undefined> {
  for (const path of files) {
    const text = readTextIfAny(path);
    if (text === undefined || text.trim() === "") continue;
    const found = await credentialIn(parseJson(AuthFile, text, path), path, registry, repository);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function credentialIn(
  file: AuthFile,
  path: string,
  registry: string,
  repository: string,
): Promise<Credential | undefined> {
  const helper = entryFor(file.credHelpers, registry, repository) ?? file.credsStore;
  if (helper !== undefined) {
    const found = await askHelper(helper, HUB_NAMES.has(registry) ? HUB_KEY : registry, path);
    if (found !== undefined) return found;
  }
  const entry = entryFor(file.auths, registry, repository);
  return entry === undefined ? undefined : credentialOf(entry, path);
}

/** The entry with the longest key that the repository is below; keys are hosts, URLs, or (Podman's) with a path. */
function entryFor<T>(
  entries: Readonly<Record<string, T>> | undefined,
  registry: string,
  repository: string,
): T | undefined {
  if (entries === undefined) return undefined;
  const byName = new Map<string, T>();
  for (const [key, entry] of Object.entries(entries)) {
    const name = normalizeKey(key);
    if (!byName.has(name)) byName.set(name, entry);
  }
  const parts = repository.split("/");
  for (let count = parts.length; count >= 0; count--) {
    const found = byName.get(normalizeKey([registry, ...parts.slice(0, count)].join("/")));
    if (found !== undefined) return found;
  }
  return undefined;
}

function normalizeKey(key: string): string {
  const bare = key
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "");
  const slash = bare.indexOf("/");
  const host = slash < 0 ? bare : bare.slice(0, slash);
  return HUB_NAMES.has(host) ? `docker.io${slash < 0 ? "" : bare.slice(slash)}` : bare;
}

/** An entry without content is what Docker leaves where a helper has the secret. */
function credentialOf(entry: AuthEntry, path: string): Credential | undefined {
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (registrytoken !== undefined) return { registryToken: registrytoken };
  if (identitytoken !== undefined) return { identityToken: identitytoken };
  if (auth === undefined) {
    return username === undefined || password === undefined ? undefined : { username, password };
  }
  const decoded = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = decoded.indexOf(":");
  if (colon <= 0) throw badEntry(path);
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function badEntry(path: string): CtrError {
  return fail({
    code: "INVALID_CONFIG",
    message: `${path}: an "auth" is not "user:password" in base64`,
    hint: "log in again with the tool that wrote it",
  });
}
