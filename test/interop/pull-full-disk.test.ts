// A store on a file system that is full: one clear error, and nothing half is left.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pullImage } from "../../src/image/pull.ts";
import { parseReference } from "../../src/image/reference.ts";
import { type FakeRegistry, startFakeRegistry } from "../support/fake-registry.ts";
import { imageOf, makePlace, noise, type Place } from "../unit/image/tools.ts";

const isRoot = process.getuid?.() === 0;
let registry: FakeRegistry;
let directory: string;
let place: Place;

const mount = (size: string) => {
  const made = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
};

beforeEach(() => {
  registry = startFakeRegistry();
  directory = mkdtempSync(join(tmpdir(), "full-"));
});
afterEach(async () => {
  place?.store.close();
  Bun.spawnSync(["umount", "-l", directory]);
  rmSync(directory, { recursive: true, force: true });
  await registry.stop();
});

test.skipIf(!isRoot)(
  "a blob that does not fit, and a layer that does not",
  async () => {
    mount("3m");
    place = makePlace(directory);
    const pull = (name: string) =>
      pullImage({
        reference: parseReference(`${registry.host}/${name}`),
        store: place.store,
        snapshotter: place.snapshotter,
        authFiles: [],
      });
    registry.put("fits", imageOf([{ a: "one" }]), "1");
    await pull("fits:1");
    const before = place.contents();
    // Of the first the blob is too large; the other is small until it is unpacked.
    for (const layer of [{ a: noise(4_000_000) }, { a: new Uint8Array(4_000_000) }]) {
      registry.put("large", imageOf([{ c: "small" }, layer]), "1");
      await expect(pull("large:1")).rejects.toMatchObject({
        code: "NO_SPACE",
        message: `no space left for the store ${place.store.root}`,
        errno: "ENOSPC",
        hint: expect.stringContaining("--store"),
      });
      const after = place.contents();
      expect(after.snapshots.filter((key) => key.startsWith("active"))).toEqual([]);
      expect({ ...after, blobs: [], snapshots: [] }).toEqual({ ...before, blobs: [], snapshots: [] });
      expect(place.store.entries()).toHaveLength(1);
      // What is left is whole: there is room again.
      const { bavail, bsize } = statfsSync(directory);
      expect(bavail * bsize).toBeGreaterThan(1_000_000);
    }
    expect((await pull("fits:1")).wasPresent).toBe(true);
    expect(readdirSync(place.store.paths.ingest)).toEqual([]);
  },
  30_000,
);
