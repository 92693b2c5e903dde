import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { findImage, listImages, removeImage, resolveImage, tagImage } from "../../../src/image/images.ts";
import { inspectImage } from "../../../src/image/inspect.ts";
import { pullImage } from "../../../src/image/pull.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { type FakeRegistry, startFakeRegistry } from "../../support/fake-registry.ts";
import { imageOf, makePlace, type Place } from "./tools.ts";

let registry: FakeRegistry;
let place: Place;
const older = imageOf([{ a: "1" }], { created: "2025-01-01T00:00:00Z" });
const newer = imageOf([{ a: "2" }, { b: "2" }], { created: "2026-01-01T00:00:00.123456789Z", variant: "v2" });
const unused = () => [];

beforeAll(() => {
  registry = startFakeRegistry();
  registry.put("old", older, "1");
  registry.put("new", newer, "1");
});
afterAll(() => registry.stop());
beforeEach(async () => {
  place?.remove();
  place = makePlace();
  for (const name of ["old:1", "new:1"]) {
    await pullImage({
      reference: parseReference(`${registry.host}/${name}`),
      store: place.store,
      snapshotter: place.snapshotter,
      authFiles: [],
    });
  }
});
const idsOf = () => listImages(place.store).map(({ id }) => id);

test("images are listed newest first, with their names and sizes", () => {
  expect(listImages(place.store)).toMatchObject([
    {
      id: newer.config,
      names: [`${registry.host}/new:1`],
      repoDigests: [`${registry.host}/new@${newer.digest}`],
      architecture: "amd64",
      variant: "v2",
      created: "2026-01-01T00:00:00.123456789Z",
      size: 2 * 2048,
    },
    { id: older.config },
  ]);
  expect(place.store.database().query("SELECT count(*) AS n FROM facts").get()).toEqual({ n: 2 });
  expect(listImages(place.store)).toHaveLength(2);
});

describe("an image is found", () => {
  const found = (text: string) => findImage(place.store, text)?.image.id;
  test("by name, digest, ID, and the start of an ID", () => {
    for (const text of [
      `${registry.host}/old:1`,
      `${registry.host}/old@${older.digest}`,
      `${registry.host}/old:any@${older.digest}`,
      older.config,
      older.config.slice(7),
      older.config.slice(7, 19),
      older.config.slice(0, 15),
    ]) {
      expect(found(text)).toBe(older.config);
    }
    for (const text of [
      "old",
      `${registry.host}/old`,
      `${registry.host}/new@${older.digest}`,
      "f".repeat(64),
    ]) {
      expect(found(text)).toBeUndefined();
    }
  });

  test("a name goes before an ID", () => {
    const prefix = older.config.slice(7, 11);
    tagImage(place.store, resolveImage(place.store, newer.config).image, parseReference(prefix));
    expect(found(prefix)).toBe(newer.config);
    expect(found(`sha256:${prefix}`)).toBe(older.config);
  });

  test("not when an ID's start is that of several", () => {
    expect(() => findImage(place.store, "sha256:")).toThrow();
    const common = [..."0123456789abcdef"].find((digit) =>
      [older, newer].every(({ config }) => config.startsWith(`sha256:${digit}`)),
    );
    if (common !== undefined) expect(() => findImage(place.store, common)).toThrow("start of 2 image IDs");
  });

  test("one that is not there is said as Docker says it", () => {
    expect(() => resolveImage(place.store, "nope")).toThrow("No such image: nope:latest");
    expect(() => resolveImage(place.store, "Nope")).toThrow("capital letters");
  });
});

describe("removing", () => {
  test("a name of several is only untagged; the last takes the image", () => {
    tagImage(place.store, resolveImage(place.store, older.config).image, parseReference("mine:1"));
    expect(removeImage(place.store, "mine:1", () => ["c1"])).toEqual({ untagged: ["mine:1"], deleted: [] });
    expect(idsOf()).toHaveLength(2);
    expect(removeImage(place.store, `${registry.host}/old:1`, unused)).toEqual({
      untagged: [`${registry.host}/old:1`, `${registry.host}/old@${older.digest}`],
      deleted: [older.config],
    });
    expect(idsOf()).toEqual([newer.config]);
  });

  test("one that a container uses is refused, and goes by force", () => {
    const usage = (id: string) => (id === older.config ? ["web", "db"] : []);
    expect(() => removeImage(place.store, `${registry.host}/old:1`, usage)).toThrow(
      "containers web, db made from",
    );
    expect(idsOf()).toHaveLength(2);
    expect(removeImage(place.store, `${registry.host}/old:1`, usage, { force: true }).deleted).toHaveLength(
      1,
    );
  });

  test("by ID: with names in one repository; in several only by force", () => {
    tagImage(place.store, resolveImage(place.store, older.config).image, parseReference("mine:1"));
    expect(() => removeImage(place.store, older.config.slice(7, 19), unused)).toThrow("2 repositories");
    expect(removeImage(place.store, newer.config.slice(7, 19), unused).deleted).toEqual([newer.config]);
    removeImage(place.store, older.config, unused, { force: true });
    expect(idsOf()).toEqual([]);
  });

  test("by digest: the tag stays", () => {
    const name = `${registry.host}/old@${older.digest}`;
    expect(removeImage(place.store, name, unused)).toEqual({ untagged: [name], deleted: [] });
    expect(resolveImage(place.store, `${registry.host}/old:1`).image.repoDigests).toEqual([]);
  });
});

test("a tag that another image had moves", () => {
  const name = parseReference(`${registry.host}/old:1`);
  tagImage(place.store, resolveImage(place.store, newer.config).image, name);
  expect(resolveImage(place.store, `${registry.host}/old:1`).image.id).toBe(newer.config);
  expect(resolveImage(place.store, older.config).image.names).toEqual([]);
});

test("inspect has Docker's shape", () => {
  const { image } = resolveImage(place.store, newer.config);
  tagImage(place.store, image, parseReference("mine"));
  expect(inspectImage(place.store, resolveImage(place.store, newer.config).image)).toEqual({
    Id: newer.config,
    RepoTags: [`${registry.host}/new:1`, "mine:latest"],
    RepoDigests: [`${registry.host}/new@${newer.digest}`],
    Parent: "",
    Comment: "",
    Created: "2026-01-01T00:00:00.123456789Z",
    Author: "",
    Config: { Cmd: ["/bin/x"], Env: ["A=b"] },
    Architecture: "amd64",
    Variant: "v2",
    Os: "linux",
    Size: 4096,
    RootFS: { Type: "layers", Layers: [...newer.diffIDs] },
    Metadata: { LastTagTime: expect.any(String) as never },
  });
});
