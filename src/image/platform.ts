/**
 * Platforms: `--platform os/arch[/variant]`, the host's own, and the choice of a manifest from an index, as
 * containerd makes it (image-spec image-index.md, "platform"). Not here: reading the index (pull.ts).
 */
import { type CtrError, fail } from "../error.ts";
import type { Descriptor, Platform } from "../spec/image/descriptor.ts";
import type { ImageIndex } from "../spec/image/index.ts";

/** A platform asked for. `variant` is normal: arm64 has none (v8 is meant), amd64 none for v1, arm v7. */
export interface WantedPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

const part = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const architectureAliases: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  i386: "386",
  i486: "386",
  i586: "386",
  i686: "386",
  aarch64: "arm64",
  armhf: "arm",
  armel: "arm",
};
const aliasVariants: Readonly<Record<string, string>> = { armhf: "v7", armel: "v6" };
/** Best first: what a processor of the first variant also runs. */
const lesser: Readonly<Record<string, readonly string[]>> = {
  "arm/v8": ["v8", "v7", "v6", "v5"],
  "arm/v7": ["v7", "v6", "v5"],
  "arm/v6": ["v6", "v5"],
  "arm/v5": ["v5"],
  "amd64/v4": ["v4", "v3", "v2", ""],
  "amd64/v3": ["v3", "v2", ""],
  "amd64/v2": ["v2", ""],
};

/** Platform of this host. */
export function hostPlatform(): WantedPlatform {
  return { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64", variant: undefined };
}

/**
 * Reads `os/arch[/variant]`, or `arch` alone with Linux meant.
 * @throws CtrError INVALID_PLATFORM
 */
export function parsePlatform(text: string): WantedPlatform {
  const parts = text.split("/");
  if (parts.length > 3 || !parts.every((each) => part.test(each))) {
    throw fail({
      code: "INVALID_PLATFORM",
      message: `${JSON.stringify(text)} is not a platform`,
      hint: "a platform is os/arch or os/arch/variant, such as linux/arm64 or linux/arm/v7",
    });
  }
  const [first = "", second, third] = parts;
  if (second !== undefined) return normalize(first, second, third);
  return first.toLowerCase() === "linux" ? hostPlatform() : normalize("linux", first, undefined);
}

function normalize(os: string, architecture: string, variant: string | undefined): WantedPlatform {
  const lower = architecture.toLowerCase();
  const arch = architectureAliases[lower] ?? lower;
  const given = (variant ?? aliasVariants[lower] ?? "").toLowerCase().replace(/^(?=\d)/, "v");
  const isDefault =
    (arch === "arm64" && (given === "v8" || given === "v8.0")) || (arch === "amd64" && given === "v1");
  const plain = isDefault || given === "" ? undefined : given;
  return {
    os: os.toLowerCase() === "macos" ? "darwin" : os.toLowerCase(),
    architecture: arch,
    variant: arch === "arm" ? (plain ?? "v7") : plain,
  };
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Pick<Platform, "os" | "architecture" | "variant">): string {
  const { os, architecture, variant } = platform;
  return `${os}/${architecture}${variant === undefined ? "" : `/${variant}`}`;
}

/** How well an offer fits: 0 is best, undefined not at all. */
function fit(offer: Pick<Platform, "os" | "architecture" | "variant">, wanted: WantedPlatform) {
  const { os, architecture, variant } = normalize(offer.os, offer.architecture, offer.variant);
  if (os !== wanted.os || architecture !== wanted.architecture) return undefined;
  const runs = lesser[`${architecture}/${wanted.variant ?? ""}`] ?? [wanted.variant ?? ""];
  const place = runs.indexOf(variant ?? "");
  if (place >= 0) return place;
  // arm64 v8.1 and the like: a processor of a later revision runs v8.
  return architecture === "arm64" && variant === undefined ? runs.length : undefined;
}

/** Whether an image made for `offer` is what was asked for. */
export function isPlatform(
  offer: Pick<Platform, "os" | "architecture" | "variant">,
  wanted: WantedPlatform,
): boolean {
  return fit(offer, wanted) !== undefined;
}

/** Attestations (BuildKit's) stand in an index under a platform that no one has. */
function isAttestation({ platform, annotations }: Descriptor): boolean {
  return platform?.os === "unknown" || annotations?.["vnd.docker.reference.type"] !== undefined;
}

/**
 * The manifest of an index that fits best; the first of equals (spec: SHOULD). An entry without a platform is taken
 * only where it is the only one; whoever reads its config checks that.
 * @param name what the index was asked for as, for the message.
 * @throws CtrError NO_PLATFORM with what there is instead.
 */
export function choosePlatform(index: ImageIndex, wanted: WantedPlatform, name: string): Descriptor {
  const offers = index.manifests.filter((each) => !isAttestation(each));
  let best: { place: number; descriptor: Descriptor } | undefined;
  for (const descriptor of offers) {
    const place = descriptor.platform === undefined ? undefined : fit(descriptor.platform, wanted);
    if (place !== undefined && (best === undefined || place < best.place)) best = { place, descriptor };
  }
  const [only] = offers;
  if (best === undefined && offers.length === 1 && only !== undefined && only.platform === undefined)
    return only;
  if (best === undefined) throw noPlatform(wanted, name, offers);
  return best.descriptor;
}

function noPlatform(wanted: WantedPlatform, name: string, offers: readonly Descriptor[]): CtrError {
  const known = new Set(
    offers.map(({ platform }) => (platform === undefined ? "unnamed" : formatPlatform(platform))),
  );
  const list = [...known].slice(0, 20).join(", ");
  return fail({
    code: "NO_PLATFORM",
    message: `${name} has no image for ${formatPlatform(wanted)}`,
    hint: known.size === 0 ? "its index is empty" : `it has: ${list} (choose one with --platform)`,
  });
}
