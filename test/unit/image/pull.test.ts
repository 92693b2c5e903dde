import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { listImages, resolveImage } from "../../../src/image/images.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import type { ProgressEvent } from "../../../src/image/progress.ts";
import { type PullRequest, pullImage } from "../../../src/image/pull.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { type FakeRegistry, startFakeRegistry } from "../../support/fake-registry.ts";
import { imageOf, indexOf, makePlace, noise, type Place } from "./tools.ts";

let registry: FakeRegistry;
let place: Place;
let events: ProgressEvent[];

beforeEach(() => {
  registry = startFakeRegistry();
  place = makePlace();
  events = [];
});
afterEach(async () => {
  place.remove();
  await registry.stop();
});

const pull = (name: string, more: Partial<PullRequest> = {}) =>
  pullImage({
    reference: parseReference(`${registry.host}/${name}`),
    store: place.store,
    snapshotter: place.snapshotter,
    authFiles: [],
    progress: (event) => events.push(event),
    limits: { backoff: 5, answerTimeout: 2000, stallTimeout: 300 },
    ...more,
  });
const fileOf = (chainID: string | undefined, name: string) =>
  readFileSync(join(place.snapshotter.upper(chainID ?? "") ?? "", name), "utf8");
const blobRequests = () => registry.paths().filter((path) => path.includes("/blobs/"));

describe("an image is pulled whole", () => {
  test("OCI manifest by tag: blobs, snapshots, name", async () => {
    const image = imageOf([{ a: "one" }, { b: "two" }]);
    registry.put("app", image, "1");
    const pulled = await pull("app:1");
    expect(pulled).toMatchObject({
      id: image.config,
      digest: image.digest,
      name: `${registry.host}/app:1`,
      wasPresent: false,
      config: { architecture: "amd64" },
    });
    expect(fileOf(pulled.chainID, "b")).toBe("two");
    const { blobs, snapshots, ...rest } = place.contents();
    expect(blobs).toEqual([image.digest, image.config, ...image.layers].sort());
    expect(snapshots).toEqual([image.diffIDs[0] ?? "", pulled.chainID ?? ""].sort());
    expect(rest).toEqual({ partials: [], leases: [], locks: [] });
    expect(statSync(join(place.store.root, "blobs/sha256")).mode & 0o777).toBe(0o700);
    expect(statSync(place.store.root).mode & 0o777).toBe(0o700);
  });

  test("Docker schema 2", async () => {
    registry.put("app", imageOf([{ a: "one" }], { docker: true }), "1");
    expect(fileOf((await pull("app:1")).chainID, "a")).toBe("one");
  });

  test("an uncompressed layer, and an image without layers", async () => {
    registry.put("plain", imageOf([{ a: "one" }], { plain: true }), "1");
    registry.put("empty", imageOf([]), "1");
    expect(fileOf((await pull("plain:1")).chainID, "a")).toBe("one");
    expect((await pull("empty:1")).chainID).toBeUndefined();
  });

  test("from an index: the platform's manifest, and the index's digest as the repo digest", async () => {
    const amd = imageOf([{ a: "amd" }]);
    const arm = imageOf([{ a: "arm" }], { architecture: "arm64" });
    const index = indexOf([
      { image: arm, platform: { os: "linux", architecture: "arm64" } },
      { image: amd, platform: { os: "linux", architecture: "amd64" } },
      { image: imageOf([]), platform: { os: "unknown", architecture: "unknown" } },
    ]);
    registry.put("app", amd);
    registry.put("app", arm);
    registry.putManifest("app", "1", index.bytes, index.mediaType);
    const pulled = await pull("app:1", { platform: parsePlatform("linux/arm64") });
    expect(pulled).toMatchObject({ id: arm.config, digest: index.digest });
    expect(listImages(place.store)[0]?.repoDigests).toEqual([`${registry.host}/app@${index.digest}`]);
    expect(await pull("app:1", { platform: parsePlatform("linux/amd64") })).toMatchObject({ id: amd.config });
    const error = pull("app:1", { platform: parsePlatform("linux/s390x") });
    await expect(error).rejects.toMatchObject({
      code: "NO_PLATFORM",
      hint: expect.stringContaining("linux/arm64, linux/amd64"),
    });
  });

  test("by digest, with and without a tag beside it", async () => {
    const image = imageOf([{ a: "one" }]);
    registry.put("app", image);
    const pulled = await pull(`app:ignored@${image.digest}`);
    expect(pulled.name).toBe(`${registry.host}/app@${image.digest}`);
    expect(listImages(place.store)).toMatchObject([{ names: [], repoDigests: [pulled.name] }]);
  });

  test("an image for another platform alone: a warning, or with --platform an error", async () => {
    registry.put("app", imageOf([{ a: "x" }], { architecture: "riscv64" }), "1");
    await pull("app:1");
    expect(events.filter(({ kind }) => kind === "warning")).toHaveLength(1);
    await expect(pull("app:1", { platform: parsePlatform("linux/amd64") })).rejects.toMatchObject({
      code: "NO_PLATFORM",
    });
  });

  test("events tell what came and what was done", async () => {
    const image = imageOf([{ a: noise(300_000) }]);
    registry.put("app", image, "1");
    await pull("app:1");
    const kinds = events.flatMap((event) => (event.kind === "layer" ? [event.status] : [event.kind]));
    const inOrder = kinds.filter((kind, at) => kind !== kinds[at - 1]);
    for (const status of ["resolved", "downloading", "downloaded", "unpacking", "done"]) {
      expect(inOrder).toContain(status as never);
    }
    expect(events.findLast(({ kind }) => kind === "layer")).toMatchObject({ status: "done", layer: 0 });
  });
});

describe("what is here is not fetched again", () => {
  test("the second pull asks for the manifest alone", async () => {
    registry.put("app", imageOf([{ a: "one" }]), "1");
    await pull("app:1");
    registry.seen.length = 0;
    expect((await pull("app:1")).wasPresent).toBe(true);
    expect(registry.paths()).toEqual(["/v2/app/manifests/1"]);
  });

  test("policies missing and never do not ask at all", async () => {
    registry.put("app", imageOf([{ a: "one" }]), "1");
    const never = pull("app:1", { policy: "never" });
    await expect(never).rejects.toMatchObject({
      code: "NOT_FOUND",
      hint: expect.stringContaining("--pull never"),
    });
    await pull("app:1", { policy: "missing" });
    registry.seen.length = 0;
    expect((await pull("app:1", { policy: "missing" })).wasPresent).toBe(true);
    expect((await pull("app:1", { policy: "never" })).wasPresent).toBe(true);
    expect(registry.seen).toEqual([]);
  });

  test("a layer that two images share is fetched and unpacked once", async () => {
    const base = { base: noise(50_000) };
    registry.put("one", imageOf([base, { a: "1" }]), "1");
    registry.put("two", imageOf([base, { b: "2" }]), "1");
    await pull("one:1");
    const before = blobRequests().length;
    const pulled = await pull("two:1");
    expect(blobRequests().length - before).toBe(2);
    expect(place.contents().snapshots).toHaveLength(3);
    expect(fileOf(pulled.chainID, "b")).toBe("2");
  });

  test("a layer that an image has twice is fetched once and unpacked twice", async () => {
    const image = imageOf([{ a: "same" }, { a: "same" }, { b: "x" }, { a: "same" }]);
    registry.put("app", image, "1");
    await pull("app:1");
    expect(blobRequests()).toHaveLength(3);
    expect(place.contents().snapshots).toHaveLength(4);
  });

  test("snapshots that are gone are made again from the blobs, without the registry", async () => {
    registry.put("app", imageOf([{ a: "one" }]), "1");
    const { chainID } = await pull("app:1");
    place.snapshotter.remove(chainID ?? "");
    registry.seen.length = 0;
    const again = await pull("app:1", { policy: "never" });
    expect(fileOf(again.chainID, "a")).toBe("one");
    expect(registry.seen).toEqual([]);
  });

  test("a damaged manifest or config in the store is fetched again", async () => {
    const image = imageOf([{ a: "one" }]);
    registry.put("app", image, "1");
    await pull("app:1");
    for (const digest of [image.config, image.digest]) {
      const path = place.store.paths.blob(digest);
      const bytes = readFileSync(path);
      bytes[20] = (bytes[20] ?? 0) ^ 1;
      await Bun.write(path, bytes);
      await pull("app:1", { policy: "missing" });
      expect(new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex")).toBe(digest.slice(7));
    }
  });
});

describe("names", () => {
  test("a tag that moves leaves the old image without a name", async () => {
    const [one, two] = [imageOf([{ a: "1" }]), imageOf([{ a: "2" }])];
    registry.put("app", one, "1");
    await pull("app:1");
    registry.put("app", two, "1");
    await pull("app:1");
    expect(resolveImage(place.store, `${registry.host}/app:1`).image.id).toBe(two.config);
    const old = resolveImage(place.store, one.config.slice(7, 19)).image;
    expect(old).toMatchObject({ names: [], repoDigests: [`${registry.host}/app@${one.digest}`] });
  });

  test("a pull that fails leaves the name where it was", async () => {
    const [one, two] = [imageOf([{ a: "1" }]), imageOf([{ a: "2" }])];
    registry.put("app", one, "1");
    await pull("app:1");
    registry.put("app", two, "1");
    registry.putBlob(Buffer.from("other"), two.layers[0]);
    await expect(pull("app:1")).rejects.toMatchObject({ code: "INVALID_IMAGE" });
    expect(resolveImage(place.store, `${registry.host}/app:1`).image.id).toBe(one.config);
  });
});

test("many pulls of one image at the same time share the work", async () => {
  const image = imageOf([{ a: noise(200_000) }, { b: noise(200_000, 2) }, { c: "x" }]);
  registry.put("app", image, "1");
  const others = Array.from({ length: 4 }, () => makePlace(place.directory));
  const pulled = await Promise.all(
    others.map(({ store, snapshotter }) => pull("app:1", { store, snapshotter })),
  );
  expect(new Set(pulled.map(({ chainID }) => chainID)).size).toBe(1);
  expect(blobRequests()).toHaveLength(4);
  expect(place.contents()).toMatchObject({ partials: [], leases: [], locks: [] });
  expect(place.contents().snapshots).toHaveLength(3);
  for (const { store } of others) store.close();
});
