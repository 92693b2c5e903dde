import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { collectGarbage } from "../../../src/image/garbage.ts";
import { listImages } from "../../../src/image/images.ts";
import { pullImage } from "../../../src/image/pull.ts";
import { parseReference } from "../../../src/image/reference.ts";
import { digestOf } from "../../../src/image/store/blobs.ts";
import { openIngest } from "../../../src/image/store/ingest.ts";
import { lock, tryLock } from "../../../src/image/store/lock.ts";
import { openStore } from "../../../src/image/store/store.ts";
import { type FakeRegistry, startFakeRegistry } from "../../support/fake-registry.ts";
import { imageOf, makePlace, noise, type Place } from "./tools.ts";

let registry: FakeRegistry;
let place: Place;
beforeEach(() => {
  registry = startFakeRegistry();
  place = makePlace();
});
afterEach(async () => {
  place.remove();
  await registry.stop();
});
const pull = (name: string) =>
  pullImage({
    reference: parseReference(`${registry.host}/${name}`),
    store: place.store,
    snapshotter: place.snapshotter,
    authFiles: [],
  });
const corrupt = (path: string) => {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
};
const path = (digest = "") => place.store.paths.blob(digest);

describe("blobs", () => {
  test("reading one that has changed throws it out, and pulling again mends the store", async () => {
    const image = imageOf([{ a: noise(10_000) }]);
    registry.put("app", image, "1");
    await pull("app:1");
    const size = statSync(path(image.config)).size;
    for (const damage of [
      corrupt,
      (file: string) => writeFileSync(file, ""),
      (file: string) => writeFileSync(file, new Uint8Array(size + 1)),
    ]) {
      damage(path(image.config));
      expect(() => place.store.readBlob({ digest: image.config, size })).toThrow("damaged");
      expect(existsSync(path(image.config))).toBe(false);
      await pull("app:1");
    }
    corrupt(path(image.config));
    corrupt(path(image.digest));
    expect((await pull("app:1")).id).toBe(image.config);
    expect(place.store.readBlob({ digest: image.config, size })).toHaveLength(size);
  });

  test("a layer's blob that has changed is fetched anew when it has to be unpacked", async () => {
    const image = imageOf([{ a: noise(10_000) }]);
    registry.put("app", image, "1");
    const { chainID } = await pull("app:1");
    place.snapshotter.remove(chainID ?? "");
    corrupt(path(image.layers[0]));
    expect((await pull("app:1")).chainID).toBe(chainID ?? "");
    expect(digestOf(readFileSync(path(image.layers[0])))).toBe(image.layers[0] ?? "");
  });

  test("a partial blob is written by one at a time, and by the next when that one stops", async () => {
    place.store.prepare();
    const bytes = noise(1000);
    const name = { digest: digestOf(bytes), size: bytes.byteLength };
    const first = await openIngest(place.store.paths, name);
    first?.write(bytes.subarray(0, 400));
    let hasWaited = false;
    const second = openIngest(place.store.paths, name, undefined, () => {
      hasWaited = true;
    });
    const third = openIngest(place.store.paths, name);
    await Bun.sleep(30);
    expect(hasWaited).toBe(true);
    first?.close();
    const next = await Promise.race([second, third]);
    expect(next?.resumed).toBe(400);
    next?.write(bytes.subarray(400));
    await next?.commit("test");
    expect(await Promise.all([second, third])).toContain(undefined);
    expect(readFileSync(path(name.digest)).equals(Buffer.from(bytes))).toBe(true);
  });

  test("sha512 too", async () => {
    const bytes = Buffer.from("x");
    const digest = digestOf(bytes, "sha512");
    place.store.addBlob(bytes, digest);
    expect(place.store.readBlob({ digest, size: 1 })).toEqual(new Uint8Array(bytes));
    expect(() => place.store.addBlob(Buffer.from("y"), digest)).toThrow();
  });
});

describe("the list of images", () => {
  test("is an OCI layout that names images by annotation", async () => {
    const image = imageOf([{ a: "1" }]);
    registry.put("app", image, "1");
    await pull("app:1");
    const read = (name: string) => JSON.parse(readFileSync(join(place.store.root, name), "utf8"));
    expect(read("oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
    expect(read("index.json")).toMatchObject({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: image.mediaType,
          digest: image.digest,
          size: image.manifest.byteLength,
          platform: { os: "linux", architecture: "amd64" },
          annotations: { "org.opencontainers.image.ref.name": `${registry.host}/app:1` },
        },
      ],
    });
  });

  test("what another tool put there is kept, and what it changed is seen", async () => {
    registry.put("app", imageOf([{ a: "1" }]), "1");
    await pull("app:1");
    const file = join(place.store.root, "index.json");
    const index = JSON.parse(readFileSync(file, "utf8"));
    index.manifests.push({ mediaType: "application/xml", digest: `sha256:${"b".repeat(64)}`, size: 7 });
    writeFileSync(file, JSON.stringify(index));
    registry.put("other", imageOf([{ b: "1" }]), "1");
    await pull("other:1");
    const types = JSON.parse(readFileSync(file, "utf8")).manifests.map(
      ({ mediaType }: { mediaType: string }) => mediaType,
    );
    expect(types).toContain("application/xml");
    expect(place.store.entries()).toHaveLength(2);
  });

  test("a temporary file of a process that died is in nobody's way", async () => {
    place.store.prepare();
    writeFileSync(join(place.store.root, `index.json.${process.pid}.tmp`), "{");
    registry.put("app", imageOf([{ a: "1" }]), "1");
    await pull("app:1");
    expect(place.store.entries()).toHaveLength(1);
  });

  test("one that is no JSON is an error that names the file", () => {
    place.store.prepare();
    writeFileSync(join(place.store.root, "index.json"), "{");
    expect(() => place.store.entries()).toThrow(
      expect.objectContaining({ field: expect.stringContaining("index.json") }),
    );
  });
});

describe("the database", () => {
  test("can be lost or damaged: everything in it is made again", async () => {
    registry.put("app", imageOf([{ a: "1" }]), "1");
    await pull("app:1");
    const before = listImages(place.store);
    expect(before[0]?.size).toBeGreaterThan(0);
    place.store.close();
    writeFileSync(
      place.store.paths.database,
      "this is no database, and long enough to be seen as none".repeat(100),
    );
    expect(listImages(place.store)).toEqual(before.map((image) => ({ ...image, size: undefined })));
    place.store.close();
    for (const suffix of ["", "-wal", "-shm"])
      rmSync(`${place.store.paths.database}${suffix}`, { force: true });
    expect(listImages(place.store)).toHaveLength(1);
  });

  test("of a later version is left alone", async () => {
    place.store.database().run("PRAGMA user_version = 99");
    place.store.close();
    const again = openStore(place.store.root);
    expect(() => again.database()).toThrow("version 99");
  });
});

describe("locks", () => {
  test("exclude each other, and go with a removed file", async () => {
    place.store.prepare();
    const file = join(place.store.paths.locks, "x");
    const held = tryLock(file);
    expect(tryLock(file)).toBeUndefined();
    const waiting = lock(file);
    await Bun.sleep(20);
    held?.release(true);
    const next = await waiting;
    expect(tryLock(file)).toBeUndefined();
    next.release();
    const shared = [tryLock(file, "shared"), tryLock(file, "shared")];
    expect(shared).not.toContain(undefined);
    expect(tryLock(file)).toBeUndefined();
    for (const each of shared) each?.release();
  });
});

describe("garbage", () => {
  const collect = () => collectGarbage(place.store, place.snapshotter);
  const forget = (name: string) =>
    place.store.update((entries) => entries.filter((entry) => entry.name !== `${registry.host}/${name}`));

  test("is what no image needs, and nothing else", async () => {
    const base = { base: "b" };
    registry.put("one", imageOf([base, { a: "1" }]), "1");
    registry.put("two", imageOf([base, { a: "2" }]), "1");
    await pull("one:1");
    await pull("two:1");
    const whole = place.contents();
    expect(await collect()).toEqual({ blobs: [], snapshots: [], bytes: 0 });
    expect(place.contents()).toEqual(whole);
    forget("one:1");
    const freed = await collect();
    expect(freed.blobs).toHaveLength(3);
    expect(freed.snapshots).toHaveLength(1);
    expect(freed.bytes).toBeGreaterThan(0);
    expect((await pull("two:1")).wasPresent).toBe(true);
    forget("two:1");
    await collect();
    expect(place.contents()).toEqual({ blobs: [], partials: [], leases: [], locks: [], snapshots: [] });
  });

  test("a container's snapshot keeps those below it", async () => {
    registry.put("app", imageOf([{ a: "1" }, { b: "2" }]), "1");
    const { chainID } = await pull("app:1");
    place.snapshotter.prepare("container-1", chainID);
    forget("app:1");
    expect((await collect()).snapshots).toEqual([]);
    place.snapshotter.remove("container-1");
    expect((await collect()).snapshots).toHaveLength(2);
  });

  test("leases hold, of the living alone", async () => {
    const digest = place.store.addBlob(Buffer.from("needed"));
    const lease = place.store.lease();
    await lease.hold([digest]);
    expect((await collect()).blobs).toEqual([]);
    // What a process leaves that was killed: the file without the lock.
    const dead = place.store.addBlob(Buffer.from("of the dead"));
    const id = "0".repeat(32);
    writeFileSync(join(place.store.paths.leases, id), `${dead}\n`);
    place.snapshotter.prepare(`pull-${id}-${"a".repeat(64)}`, undefined);
    place.snapshotter.prepare(`pull-${lease.id}-${"a".repeat(64)}`, undefined);
    const freed = await collect();
    expect(freed.blobs).toEqual([dead]);
    expect(freed.snapshots).toEqual([`pull-${id}-${"a".repeat(64)}`]);
    expect(place.contents().leases).toEqual([lease.id]);
    lease.release();
    expect((await collect()).blobs).toEqual([digest]);
  });

  test("beside running pulls takes nothing from them", async () => {
    const images = [1, 2, 3, 4].map((seed) =>
      imageOf([{ base: noise(50_000) }, { a: noise(100_000, seed) }]),
    );
    images.forEach((image, at) => {
      registry.put(`app${at}`, image, "1");
    });
    let isOver = false;
    const collecting = (async () => {
      let rounds = 0;
      for (; !isOver; rounds++) {
        await collect();
        await Bun.sleep(1);
      }
      return rounds;
    })();
    for (let round = 0; round < 5; round++) {
      const pulled = await Promise.all(images.map((_, at) => pull(`app${at}:1`)));
      pulled.forEach(({ chainID }) => {
        expect(place.snapshotter.stat(chainID ?? "")?.kind).toBe("committed");
      });
      images.forEach((_, at) => {
        forget(`app${at}:1`);
      });
    }
    isOver = true;
    expect(await collecting).toBeGreaterThan(5);
  }, 20_000);
});
