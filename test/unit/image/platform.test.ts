import { describe, expect, test } from "bun:test";
import { CtrError } from "../../../src/error.ts";
import { choosePlatform, formatPlatform, parsePlatform } from "../../../src/image/platform.ts";

const entry = (platform: string | undefined, more: object = {}) => {
  const [os = "", architecture = "", variant] = platform?.split("/") ?? [];
  const shown = variant === undefined ? { os, architecture } : { os, architecture, variant };
  return {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${new Bun.CryptoHasher("sha256").update(String(platform)).digest("hex")}`,
    size: 1,
    ...(platform === undefined ? {} : { platform: shown }),
    ...more,
  };
};
const choose = (wanted: string, ...offers: (string | undefined)[]) => {
  const index = { schemaVersion: 2 as const, manifests: offers.map((offer) => entry(offer)) };
  const { platform } = choosePlatform(index, parsePlatform(wanted), "x:1");
  return platform === undefined ? "unnamed" : formatPlatform(platform);
};

describe("--platform is normalized as containerd does", () => {
  for (const [text, normal] of [
    ["linux/amd64", "linux/amd64"],
    ["amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/arm/6", "linux/arm/v6"],
    ["Linux/AMD64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
  ] as const) {
    test(text, () => expect(formatPlatform(parsePlatform(text))).toBe(normal));
  }
  for (const text of ["", "a/b/c/d", "linux/", "lin ux/amd64", "linux/../x"]) {
    test(`${JSON.stringify(text)} is refused`, () => expect(() => parsePlatform(text)).toThrow(CtrError));
  }
});

describe("the best manifest of an index is chosen", () => {
  test("the same architecture", () =>
    expect(choose("linux/arm64", "linux/amd64", "linux/arm64/v8")).toBe("linux/arm64/v8"));
  test("the nearest lesser variant", () =>
    expect(choose("linux/arm/v7", "linux/arm/v5", "linux/arm/v6")).toBe("linux/arm/v6"));
  test("plain amd64 where v3 is asked for and not there", () =>
    expect(choose("linux/amd64/v3", "linux/amd64", "linux/amd64/v4")).toBe("linux/amd64"));
  test("never a greater variant", () => expect(() => choose("linux/amd64", "linux/amd64/v3")).toThrow());
  test("the first of equals", () =>
    expect(choose("linux/amd64", "linux/amd64", "linux/amd64")).toBe("linux/amd64"));
  test("an only one without a platform", () => expect(choose("linux/amd64", undefined)).toBe("unnamed"));
  test("attestations are passed over", () =>
    expect(choose("linux/amd64", "unknown/unknown", "linux/amd64")).toBe("linux/amd64"));
  test("what there is instead is said", () => {
    try {
      choose("linux/s390x", "linux/amd64", "linux/arm64/v8", "unknown/unknown");
      throw new Error("chosen");
    } catch (error) {
      expect(error).toMatchObject({
        code: "NO_PLATFORM",
        message: "x:1 has no image for linux/s390x",
        hint: "it has: linux/amd64, linux/arm64/v8 (choose one with --platform)",
      });
    }
  });
});
