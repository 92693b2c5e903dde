// A pull that is killed at any moment leaves a store in which every image is whole or not there, and the next pull goes
// on from what has come. Several processes at the same time share the work.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectGarbage } from "../../src/image/garbage.ts";
import { listImages } from "../../src/image/images.ts";
import { digestOf } from "../../src/image/store/blobs.ts";
import { type FakeRegistry, slowBody, startFakeRegistry } from "../support/fake-registry.ts";
import { imageOf, makePlace, noise } from "../unit/image/tools.ts";

/** Killed pulls. Each takes as long as it is let live, at most about as long as a whole one. */
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 40);
const image = imageOf(
  [1, 2, 3, 4, 5].map((seed) => ({
    [`noise${seed}`]: noise(800_000, seed),
    ...Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`layer${seed}-${at}`, `${at}`])),
  })),
);
let registry: FakeRegistry;
let directory: string;

beforeAll(() => {
  registry = startFakeRegistry();
  registry.put("app", image, "1");
  directory = mkdtempSync(join(tmpdir(), "killed-"));
});
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Sends layers in small pieces, so that there is a middle to be killed in. */
function slowLayers() {
  const bytes = new Map(image.blobs.map((blob) => [digestOf(blob), blob]));
  registry.intercept(({ path, headers }) => {
    const blob = bytes.get(path.replace(/^.*\//, ""));
    if (blob === undefined) return undefined;
    const from = Number(/\d+/.exec(headers.get("range") ?? "0")?.[0]);
    const pieces: Uint8Array[] = [];
    for (let at = from; at < blob.byteLength; at += 50_000) pieces.push(blob.slice(at, at + 50_000));
    return new Response(slowBody(pieces, 5, "close"), {
      status: from === 0 ? 200 : 206,
      headers:
        from === 0 ? {} : { "content-range": `bytes ${from}-${blob.byteLength - 1}/${blob.byteLength}` },
    });
  });
}

const startPull = (place: string) =>
  Bun.spawn([process.execPath, join(import.meta.dir, "pull-child.ts"), place, `${registry.host}/app:1`], {
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });

async function outcomeOf(child: ReturnType<typeof startPull>) {
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(err);
  return JSON.parse(out);
}

/** Everything that is there must be right, whoever died when. */
function checkConsistent(path: string) {
  const { store, snapshotter, remove: _, contents } = makePlace(path);
  for (const name of existsSync(join(store.root, "blobs/sha256"))
    ? readdirSync(join(store.root, "blobs/sha256"))
    : []) {
    expect(digestOf(readFileSync(store.paths.blob(`sha256:${name}`)))).toBe(`sha256:${name}`);
  }
  for (const { chainIDs } of listImages(store)) {
    for (const chainID of chainIDs) expect(snapshotter.stat(chainID)?.kind).toBe("committed");
  }
  for (const key of contents().snapshots.filter((each) => !each.startsWith("active "))) {
    // Committed: all 101 files of the layer.
    expect(readdirSync(snapshotter.upper(key) ?? "")).toHaveLength(101);
  }
  const images = listImages(store).length;
  store.close();
  return images;
}

test(`killed ${ROUNDS} times at random moments, the store is consistent, and the next pull goes on`, async () => {
  slowLayers();
  const path = join(directory, "one");
  let finished = 0;
  let resumed = 0;
  // A blob that is continued is among what must be seen, and no kill can be told to hit one.
  for (let round = 0; round < ROUNDS || (resumed === 0 && round < 5 * ROUNDS); round++) {
    // Now and then from nothing, so that every moment of a pull has its turn.
    if (round % 8 === 0) rmSync(path, { recursive: true, force: true });
    const before = registry.seen.length;
    const child = startPull(path);
    await Promise.race([child.exited, Bun.sleep(150 + Math.random() * 600)]);
    child.kill("SIGKILL");
    await child.exited;
    const images = checkConsistent(path);
    finished += images;
    resumed += registry.seen.slice(before).filter(({ headers }) => headers.get("range") !== null).length;
  }
  const done = await outcomeOf(startPull(path));
  expect(done.id).toBe(image.config);
  expect(checkConsistent(path)).toBe(1);
  const { store, snapshotter, contents } = makePlace(path);
  await collectGarbage(store, snapshotter);
  const left = contents();
  store.close();
  expect(left).toMatchObject({ partials: [], leases: [] });
  expect(left.blobs).toHaveLength(7);
  expect(left.snapshots).toHaveLength(5);
  expect(resumed).toBeGreaterThan(0);
  console.log(`${ROUNDS} killed: ${resumed} blobs continued, the image was whole after ${finished} of them`);
}, 180_000);

test("five processes pull one image at the same time: each blob is sent once, and all succeed", async () => {
  slowLayers();
  const path = join(directory, "many");
  registry.seen.length = 0;
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => outcomeOf(startPull(path))));
  expect(new Set(outcomes.map(({ chainID }) => chainID)).size).toBe(1);
  expect(registry.paths().filter((each) => each.includes("/blobs/"))).toHaveLength(6);
  expect(checkConsistent(path)).toBe(1);
  expect(makePlace(path).contents()).toMatchObject({ partials: [], leases: [], locks: [] });
}, 60_000);

test("a process that waits for another goes on when that one is killed", async () => {
  slowLayers();
  const path = join(directory, "handover");
  const first = startPull(path);
  await Bun.sleep(400);
  const second = startPull(path);
  await Bun.sleep(400);
  first.kill("SIGKILL");
  expect((await outcomeOf(second)).id).toBe(image.config);
  expect(checkConsistent(path)).toBe(1);
}, 60_000);
