// Connections that break, stall, lie about ranges, or are refused for now.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type FakeRegistry, missing, slowBody, startRawServer } from "../../support/fake-registry.ts";
import { makeScene, type Scene, small } from "./scene.ts";
import { imageOf, makePlace, noise, type Place } from "./tools.ts";

let scene: Scene;
let registry: FakeRegistry;
let place: Place;
const pull = (...args: Parameters<Scene["pull"]>) => scene.pull(...args);
const errorOf = (pulling: Promise<unknown>) => scene.errorOf(pulling);

beforeEach(() => {
  scene = makeScene();
  ({ registry, place } = scene);
});
afterEach(() => scene.end());

describe("connections", () => {
  test("a blob that breaks off is continued at the byte where it stopped", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    const blob = image.blobs[1] ?? new Uint8Array();
    const ranges: (string | null)[] = [];
    registry.intercept(({ path, headers }) => {
      if (!path.endsWith(image.layers[0] ?? "-")) return undefined;
      ranges.push(headers.get("range"));
      if (ranges.length > 3) return undefined;
      const from = Number(/\d+/.exec(headers.get("range") ?? "0")?.[0]);
      const piece = blob.slice(from, from + 100_000);
      return new Response(slowBody([piece], 20, "hang"), {
        status: from === 0 ? 200 : 206,
        headers: { "content-range": `bytes ${from}-${blob.byteLength - 1}/${blob.byteLength}` },
      });
    });
    expect((await pull()).id).toBe(image.config);
    expect(ranges).toEqual([null, "bytes=100000-", "bytes=200000-", "bytes=300000-"]);
    expect(scene.events.filter(({ kind }) => kind === "retry")).toHaveLength(3);
  });

  test("a registry without ranges begins anew, and the blob is right all the same", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    registry.ranges = false;
    let tries = 0;
    registry.intercept(({ path }) =>
      path.endsWith(image.layers[0] ?? "-") && tries++ < 2
        ? new Response(slowBody([(image.blobs[1] ?? new Uint8Array()).slice(0, 100_000)], 20, "hang"))
        : undefined,
    );
    expect((await pull()).id).toBe(image.config);
  });

  test("a range that is not the one asked for is refused", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    registry.intercept(({ path, headers }) => {
      if (!path.endsWith(image.layers[0] ?? "-")) return undefined;
      const blob = image.blobs[1] ?? new Uint8Array();
      if (headers.get("range") === null) return new Response(slowBody([blob.slice(0, 1000)], 20, "hang"));
      return new Response(blob.slice(0), { status: 206, headers: { "content-range": `bytes 0-9/10` } });
    });
    expect((await errorOf(pull())).message).toContain("another range");
  });

  test("what an interrupted pull left is continued; where it was damaged, fetched anew", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    const blob = image.blobs[1] ?? new Uint8Array();
    const partial = place.store.paths.partial(image.layers[0] ?? "");
    place.store.prepare();
    await Bun.write(partial, blob.slice(0, 200_000));
    await pull();
    expect(registry.seen.at(-1)?.headers.get("range")).toBe("bytes=200000-");
    const second = makePlace();
    second.store.prepare();
    await Bun.write(second.store.paths.partial(image.layers[0] ?? ""), new Uint8Array(200_000));
    await pull(undefined, { store: second.store, snapshotter: second.snapshotter });
    expect(registry.seen.at(-1)?.headers.get("range")).toBeNull();
    second.remove();
  });

  test("one that hangs, stalls, talks nonsense or is cut is given up after some tries", async () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{";
    for (const [pieces, end] of [
      [[], "hang"],
      [["nonsense\r\n\r\n"], "hang"],
      [[head], "hang"],
      [[head], "cut"],
      [[], "cut"],
    ] as const) {
      const server = startRawServer(pieces, end);
      const error = await errorOf(pull(`${server.host}/app:1`, { plainHttp: true }));
      server.stop();
      expect(error.code).toBe("REGISTRY_INTERRUPTED");
      expect(error.message).toContain(server.host);
    }
    expect(scene.events.filter(({ kind }) => kind === "retry").length).toBeGreaterThanOrEqual(10);
  }, 20_000);

  test("5xx and 429 are tried again, Retry-After is honoured up to a bound", async () => {
    registry.put("app", small(), "1");
    let count = 0;
    registry.intercept(() =>
      ++count === 1
        ? new Response("busy", { status: 503 })
        : count === 2
          ? missing("TOOMANYREQUESTS", "slow down", 429, { "retry-after": "1" })
          : undefined,
    );
    const start = performance.now();
    await pull();
    expect(performance.now() - start).toBeGreaterThan(990);
    expect(scene.events.filter(({ kind }) => kind === "retry")).toMatchObject([{}, { delay: 1000 }]);
    registry.intercept(() => missing("TOOMANYREQUESTS", "slow down", 429, { "retry-after": "100000" }));
    const limits = { backoff: 1, longestPause: 20, tries: 3 };
    await expect(pull(undefined, { limits })).rejects.toMatchObject({ code: "RATE_LIMITED" });
  });

  test("a cancelled pull ends at once and keeps what has come", async () => {
    const image = imageOf([{ a: noise(500_000) }]);
    registry.put("app", image, "1");
    registry.intercept(({ path }) =>
      path.endsWith(image.layers[0] ?? "-")
        ? new Response(
            slowBody(Array(100).fill((image.blobs[1] ?? new Uint8Array()).slice(0, 1000)), 100, "hang"),
          )
        : undefined,
    );
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 150);
    const start = performance.now();
    expect(await errorOf(pull(undefined, { signal: controller.signal }))).toMatchObject({
      code: "CANCELLED",
    });
    expect(performance.now() - start).toBeLessThan(3000);
    expect(place.contents().partials).toHaveLength(1);
  });
});
