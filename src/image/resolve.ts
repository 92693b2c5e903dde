/**
 * From a reference to an image's documents: index, manifest and config, from the registry or the store, each checked
 * against its digest and against what pointed to it. Not here: layers (layers.ts).
 */
import { type CtrError, fail } from "../error.ts";
import type { ImageConfig } from "../spec/image/config.ts";
import type { Descriptor } from "../spec/image/descriptor.ts";
import { parseDigest } from "../spec/image/digest.ts";
import type { ImageManifest } from "../spec/image/manifest.ts";
import { MAX_DOCUMENT_BYTES } from "../spec/parse.ts";
import {
  checkManifest,
  type ImageDocument,
  isBroken,
  isDocumentType,
  readConfig,
  readDocument,
} from "./document.ts";
import { choosePlatform, formatPlatform, hostPlatform, isPlatform, type WantedPlatform } from "./platform.ts";
import { canonicalName, type Reference, repositoryName } from "./reference.ts";
import type { FetchedManifest, RegistryClient } from "./registry/client.ts";
import { checkBytes, digestOf } from "./store/blobs.ts";
import type { ImageEntry, Store } from "./store/store.ts";

/** A document with its bytes, to be put into the store. */
export interface RawDocument {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** A manifest that a reference stands for. */
export interface ResolvedManifest {
  /** Digest that the registry has for the reference: an index's, or the manifest's. */
  readonly source: string;
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  /** Index and manifest, outermost first. */
  readonly documents: readonly RawDocument[];
}

/** Indexes that may point to indexes before it is called a circle. */
const MAX_NESTING = 3;

/** Asks the registry. Documents that are in the store already are not fetched again, except the outermost. */
export async function resolveRemote(
  reference: Reference,
  wanted: WantedPlatform,
  client: RegistryClient,
  store: Store,
  signal?: AbortSignal,
): Promise<ResolvedManifest> {
  const name = canonicalName(reference);
  const fetched = await client.manifest(reference.digest ?? reference.tag ?? "", signal);
  const source = checkedDigest(fetched, reference.digest, name);
  let document = readDocument(fetched.bytes, name, fetched.mediaType);
  let descriptor: Descriptor = describe(document, source, fetched.bytes.byteLength);
  const documents: RawDocument[] = [{ digest: source, bytes: fetched.bytes }];
  while (document.kind === "index") {
    if (documents.length > MAX_NESTING) throw invalid(name, "has indexes that point to indexes without end");
    const chosen = choosePlatform(document.index, wanted, name);
    if (!isDocumentType(chosen.mediaType)) throw invalid(name, `has an entry of type ${chosen.mediaType}`);
    if (chosen.size > MAX_DOCUMENT_BYTES) throw invalid(name, `has a manifest of ${chosen.size} bytes`);
    const { bytes, mediaType } = await documentOf(chosen, name, client, store, signal);
    document = readDocument(bytes, `manifest ${chosen.digest} of ${name}`, chosen.mediaType, mediaType);
    descriptor = describe(document, chosen.digest, bytes.byteLength);
    documents.push({ digest: chosen.digest, bytes });
  }
  checkManifest(document.manifest, name);
  return { source, descriptor, manifest: document.manifest, documents };
}

/** What is pointed to, from the store or the registry, checked against the descriptor. */
async function documentOf(
  descriptor: Descriptor,
  name: string,
  client: RegistryClient,
  store: Store,
  signal?: AbortSignal,
): Promise<{ bytes: Uint8Array; mediaType?: string | undefined }> {
  if (store.hasBlob(descriptor)) {
    try {
      return { bytes: store.readBlob(descriptor) };
    } catch {
      // Damaged: the store has thrown it out, and the registry has it.
    }
  }
  const fetched = await client.manifest(descriptor.digest, signal);
  checkBytes(fetched.bytes, descriptor, `the registry of ${name}`);
  return fetched;
}

/** The digest of what came, checked against the one asked for and the one announced. */
function checkedDigest(fetched: FetchedManifest, asked: string | undefined, name: string): string {
  const size = fetched.bytes.byteLength;
  const from = `the registry of ${name}`;
  if (asked !== undefined) checkBytes(fetched.bytes, { digest: asked, size }, from);
  const announced = fetched.digest;
  if (announced !== undefined && isVerifiable(announced)) {
    checkBytes(fetched.bytes, { digest: announced, size }, from);
  }
  return asked ?? digestOf(fetched.bytes);
}

function isVerifiable(digest: string): boolean {
  try {
    parseDigest(digest);
    return true;
  } catch {
    return false;
  }
}

function describe({ mediaType }: ImageDocument, digest: string, size: number): Descriptor {
  return { mediaType, digest, size };
}

/** What the store has under a reference, if it is all there. */
export function resolveLocal(
  reference: Reference,
  wanted: WantedPlatform | undefined,
  store: Store,
): { resolved: ResolvedManifest; config: ImageConfig; entry: ImageEntry } | undefined {
  const entry = store.entries().find((each) => isCalled(each, reference));
  if (entry === undefined) return undefined;
  try {
    const name = canonicalName(reference);
    const { manifest, descriptor } = readManifest(entry.manifest, store, wanted ?? hostPlatform(), name);
    const config = readConfig(store.readBlob(manifest.config), manifest, name);
    if (wanted !== undefined && !isPlatform(config, wanted)) return undefined;
    const source = entry.source ?? entry.manifest.digest;
    return { resolved: { source, descriptor, manifest, documents: [] }, config, entry };
  } catch (error) {
    if (!isBroken(error)) throw error;
    // Not whole: as good as not here.
    return undefined;
  }
}

/** By digest, any name in the same repository will do. */
function isCalled(entry: ImageEntry, reference: Reference): boolean {
  if (entry.name === canonicalName(reference)) return true;
  const { digest } = reference;
  if (digest === undefined || entry.repository !== repositoryName(reference)) return false;
  return entry.source === digest || entry.manifest.digest === digest;
}

/** Reads the manifest of an entry of the store; an index that another tool put there is looked into. */
export function readManifest(
  entry: Descriptor,
  store: Store,
  wanted: WantedPlatform,
  name: string,
): { manifest: ImageManifest; descriptor: Descriptor } {
  let descriptor = entry;
  for (let depth = 0; depth <= MAX_NESTING; depth++) {
    const document = readDocument(store.readBlob(descriptor), name, descriptor.mediaType);
    if (document.kind === "manifest") return { manifest: document.manifest, descriptor };
    descriptor = choosePlatform(document.index, wanted, name);
  }
  throw invalid(name, "has indexes that point to indexes without end");
}

/** @throws CtrError NO_PLATFORM where an image without an index is for another platform than the one asked for. */
export function checkPlatform(config: ImageConfig, wanted: WantedPlatform, name: string): void {
  if (isPlatform(config, wanted)) return;
  throw fail({
    code: "NO_PLATFORM",
    message: `${name} has no image for ${formatPlatform(wanted)}`,
    hint: `it is for ${formatPlatform(config)} alone`,
  });
}

function invalid(name: string, why: string): CtrError {
  return fail({ code: "INVALID_IMAGE", message: `${name} ${why}`, hint: "ask whoever made the image" });
}
