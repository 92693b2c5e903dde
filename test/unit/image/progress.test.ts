import { expect, test } from "bun:test";
import { Writable } from "node:stream";
import { createProgress } from "../../../src/cli/progress.ts";
import { type LayerStatus, type ProgressEvent, thinned } from "../../../src/image/progress.ts";

const layer = (status: LayerStatus, done = 0, at = 0): ProgressEvent => ({
  kind: "layer",
  layer: at,
  digest: `sha256:${String(at).repeat(64)}`,
  status,
  done,
  total: 1000,
});

test("what grows is told now and then, what changes at once", () => {
  let time = 0;
  const told: string[] = [];
  const progress = thinned(
    (event) => told.push(event.kind === "layer" ? `${event.status} ${event.done}` : event.kind),
    100,
    () => time,
  );
  for (let done = 0; done < 1000; done++) {
    time++;
    progress(layer("downloading", done));
    progress(layer("unpacking", done));
  }
  progress(layer("downloaded", 1000));
  progress({ kind: "warning", message: "x" });
  progress(layer("unpacking", 999));
  progress(layer("done", 1000));
  expect(told).toEqual([
    ...Array.from({ length: 10 }, (_, at) => `downloading ${at * 100}`),
    "downloaded 1000",
    "warning",
    "unpacking 999",
    "done 1000",
  ]);
});

/** What is written to a stream that is a terminal, or not. */
async function drawn(isTTY: boolean, events: readonly ProgressEvent[]): Promise<string> {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const { progress, done } = createProgress(
    Object.assign(stream, { isTTY, rows: 24, columns: 80, cursorTo: () => {} }),
  );
  for (const event of events) {
    progress(event);
    await Bun.sleep(1);
  }
  done();
  done();
  return text;
}

const pull: readonly ProgressEvent[] = [
  {
    kind: "resolved",
    name: "docker.io/library/x:1",
    digest: "sha256:x",
    platform: "linux/amd64",
    layers: [0, 1].map((at) => ({ digest: `sha256:${String(at).repeat(64)}`, size: 1000 })),
  },
  layer("exists", 0, 0),
  layer("downloading", 500, 1),
  { kind: "retry", message: "the connection broke", delay: 1500 },
  layer("downloaded", 1000, 1),
  layer("unpacking", 1000, 1),
  layer("done", 1000, 1),
];

test("elsewhere than on a terminal: plain lines", async () => {
  expect(await drawn(false, pull)).toBe(
    [
      "docker.io/library/x:1: Pulling for linux/amd64",
      "000000000000: Already exists",
      "the connection broke; trying again in 1.5 s",
      "111111111111: Download complete",
      "111111111111: Pull complete",
      "",
    ].join("\n"),
  );
});
