/**
 * From what a person calls an image to one that is whole on this host. Not here: pulling it (image/pull.ts).
 */
import type { Snapshotter } from "../driver.ts";
import { fail } from "../error.ts";
import { findImage, imageConfig } from "../image/images.ts";
import { parsePlatform } from "../image/platform.ts";
import type { Progress } from "../image/progress.ts";
import { type PulledImage, type PullPolicy, pullImage } from "../image/pull.ts";
import { parseReference, type Reference } from "../image/reference.ts";
import type { RegistryOptions } from "../image/registry/options.ts";
import type { Engine } from "./engine.ts";
import { readHostFile } from "./files.ts";

/** How an image is to be had. */
export interface ImageRequest {
  readonly pull: string | undefined;
  readonly platform: string | undefined;
  readonly progress?: Progress | undefined;
  readonly plainHttp?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Finds an image by ID, or gets it by name as the policy says. */
export async function obtainImage(
  engine: Engine,
  snapshotter: Snapshotter,
  text: string,
  request: ImageRequest,
): Promise<PulledImage> {
  const policy = pullPolicy(request.pull);
  if (policy !== "always") {
    const byID = imageByID(engine, snapshotter, text);
    if (byID !== undefined) return byID;
  }
  const reference = parseReference(text);
  return await pullImage({
    ...registryOptions(engine, reference),
    ...(request.plainHttp === true ? { plainHttp: true } : {}),
    reference,
    store: engine.store(),
    snapshotter,
    policy,
    platform: request.platform === undefined ? undefined : parsePlatform(request.platform),
    progress: request.progress,
    signal: request.signal,
  });
}

/** The configuration's word on a registry. */
export function registryOptions(engine: Engine, reference: Pick<Reference, "registry">): RegistryOptions {
  const { registries } = engine.settings;
  const own = registries[reference.registry] ?? {};
  const trustedRealms = Object.fromEntries(
    Object.entries(registries).flatMap(([name, { realms }]) =>
      realms === undefined ? [] : [[name, realms]],
    ),
  );
  const ca = own.ca;
  const authFile = own["auth-file"];
  return {
    trustedRealms,
    ...(own["plain-http"] === undefined ? {} : { plainHttp: own["plain-http"] }),
    ...(authFile === undefined ? {} : { authFiles: [authFile] }),
    ...(ca === undefined
      ? {}
      : { ca: readHostFile(ca, `registries.${JSON.stringify(reference.registry)}.ca`) }),
  };
}

function pullPolicy(text: string | undefined): PullPolicy {
  if (text === undefined) return "missing";
  if (text === "always" || text === "missing" || text === "never") return text;
  throw fail({
    code: "INVALID_FLAG",
    field: "--pull",
    message: `${JSON.stringify(text)} is not known`,
    hint: "it is one of always, missing, never",
  });
}

/** Only where it is unpacked for this snapshotter; by name, pullImage sees to that. */
function imageByID(engine: Engine, snapshotter: Snapshotter, text: string): PulledImage | undefined {
  if (!/^(sha256:)?[0-9a-f]{4,64}$/.test(text)) return undefined;
  const store = engine.store();
  const found = findImage(store, text);
  if (found === undefined || found.name !== undefined) return undefined;
  const { image } = found;
  const chainID = image.chainIDs.at(-1);
  if (chainID !== undefined && snapshotter.stat(chainID) === undefined) {
    throw fail({
      code: "NOT_UNPACKED",
      message: `image ${text} is not unpacked for snapshotter ${snapshotter.name}`,
      hint: `pull it by name: ctr-bun pull ${image.names[0] ?? "NAME"}`,
    });
  }
  return {
    id: image.id,
    name: image.names[0] ?? text,
    digest: image.manifest.digest,
    manifest: image.manifest,
    config: imageConfig(store, image),
    chainID,
    wasPresent: true,
  };
}
