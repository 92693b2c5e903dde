/** The overlay snapshotter: the conformance suite, and what is its own. Needs root. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { overlayDriver } from "../../drivers/overlay/driver.ts";
import type { Host } from "../../src/driver.ts";
import { applyLayer } from "../../src/image/layer/apply.ts";
import { mount, unmount } from "../../src/kernel/mount.ts";
import { OCI_LAYER_TAR } from "../../src/spec/image/media-types.ts";
import { snapshotterSuite } from "../support/snapshotter-suite.ts";
import { inPieces, tar } from "../support/tar-writer.ts";

snapshotterSuite("overlay", () => overlayDriver);

const base = mkdtempSync("/tmp/ctr-bun-overlay-");
afterAll(() => rmSync(base, { recursive: true, force: true }));

const HOST: Host = {
  kernel: "6.18.0",
  kernelVersion: [6, 18],
  arch: "x86_64",
  uid: 0,
  cgroup: { mode: "none", unified: undefined, controllers: {}, own: {} },
  capabilities: -1n,
  lsm: [],
};

describe("probe", () => {
  test("yes for root on this host", () => expect(overlayDriver.probe(HOST)).toEqual({ ok: true }));
  test("no without root, or without the capability", () => {
    expect(overlayDriver.probe({ ...HOST, uid: 1000 }).ok).toBe(false);
    expect(overlayDriver.probe({ ...HOST, capabilities: 0n }).ok).toBe(false);
  });
});

describe("on disk", () => {
  test("a change that was cut short is undone, and the rest is found again", () => {
    const root = `${base}/cut`;
    const snapshots = overlayDriver.open(root);
    snapshots.prepare("a", undefined);
    snapshots.commit("1", "a");
    snapshots.prepare("b", "1");
    // As if killed: a directory without a record, and an index that knows nothing.
    mkdirSync(`${root}/zz/fs`, { recursive: true });
    rmSync(`${root}/keys`, { recursive: true });
    mkdirSync(`${root}/keys`);
    writeFileSync(`${root}/dirty`, "");
    const again = overlayDriver.open(root);
    expect(again.stat("1")?.kind).toBe("committed");
    expect(again.stat("b")?.parent).toBe("1");
    expect(again.stat("a")).toBeUndefined();
    expect(readdirSync(root)).not.toContain("zz");
    expect(readdirSync(root)).not.toContain("dirty");
  });

  test("a removal that was cut short is finished by the next", () => {
    const root = `${base}/trash`;
    const snapshots = overlayDriver.open(root);
    mkdirSync(`${root}/trash-1-2-3/fs`, { recursive: true });
    snapshots.prepare("a", undefined);
    snapshots.remove("a");
    expect(readdirSync(root).sort()).toEqual(["keys", "lock"]);
  });

  test("a record that is damaged is named", () => {
    const root = `${base}/damaged`;
    const snapshots = overlayDriver.open(root);
    snapshots.prepare("a", undefined);
    writeFileSync(`${root}/1/info.json`, '{"key":"a"}');
    expect(() => snapshots.stat("a")).toThrow("incomplete");
  });

  test("a path that mount options cannot hold is refused", () => {
    expect(() => overlayDriver.open(`${base}/a:b`)).toThrow("colon");
    expect(() => overlayDriver.open("relative")).toThrow("absolute");
  });

  test("more layers than mount options can hold are refused, and nothing is left of it", () => {
    const root = `${base}/${"long".repeat(50)}`;
    const snapshots = overlayDriver.open(root);
    let parent: string | undefined;
    const grow = () => {
      for (let index = 0; index < 30; index++) {
        snapshots.prepare("next", parent);
        snapshots.commit(`${index}`, "next");
        parent = `${index}`;
      }
    };
    expect(grow).toThrow("mount options");
    expect(snapshots.stat("next")).toBeUndefined();
  });
});

test("20 processes at the same time, on one root", async () => {
  const root = `${base}/many`;
  const script = `
    const { overlayDriver } = await import(${JSON.stringify(`${import.meta.dir}/../../drivers/overlay/driver.ts`)});
    const snapshots = overlayDriver.open(${JSON.stringify(root)});
    const me = process.argv[1];
    for (let i = 0; i < 5; i++) {
      snapshots.prepare("active " + me + i, undefined);
      snapshots.commit("layer " + me + i, "active " + me + i);
      snapshots.prepare("top " + me + i, "layer " + me + i);
      if (i % 2 === 0) { snapshots.remove("top " + me + i); snapshots.remove("layer " + me + i); }
    }`;
  const started = Array.from({ length: 20 }, (_, index) =>
    Bun.spawn([process.execPath, "-e", script, `${index}-`], { stdout: "inherit", stderr: "inherit" }),
  );
  for (const child of started) expect(await child.exited).toBe(0);
  const kinds: string[] = [];
  overlayDriver.open(root).walk(({ kind }) => kinds.push(kind));
  expect(kinds.filter((kind) => kind === "committed").length).toBe(40);
  expect(kinds.filter((kind) => kind === "active").length).toBe(40);
}, 60_000);

test("a process killed in the middle leaves a root that works", async () => {
  const root = `${base}/killed`;
  const script = `
    const { overlayDriver } = await import(${JSON.stringify(`${import.meta.dir}/../../drivers/overlay/driver.ts`)});
    const snapshots = overlayDriver.open(${JSON.stringify(root)});
    for (let i = 0; ; i++) {
      snapshots.prepare("k" + process.pid + "-" + i, undefined);
      snapshots.commit("c" + process.pid + "-" + i, "k" + process.pid + "-" + i);
      if (i > 3) snapshots.remove("c" + process.pid + "-" + (i - 3));
    }`;
  for (let round = 0; round < 15; round++) {
    const child = Bun.spawn([process.execPath, "-e", script]);
    await Bun.sleep(60 + round * 9);
    child.kill("SIGKILL");
    await child.exited;
    const snapshots = overlayDriver.open(root);
    snapshots.prepare(`after ${round}`, undefined);
    const seen: string[] = [];
    snapshots.walk(({ key }) => seen.push(key));
    for (const key of seen) expect(snapshots.stat(key)?.key).toBe(key);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toContain(`after ${round}`);
  }
}, 60_000);

test("layers unpacked side by side, and put on each other at their commit", async () => {
  const snapshots = overlayDriver.open(`${base}/rebase`);
  const apply = async (key: string, members: Parameters<typeof tar>[0]) => {
    snapshots.prepare(key, undefined);
    await applyLayer({
      snapshotter: snapshots,
      key,
      source: inPieces(tar(members), 512),
      mediaType: OCI_LAYER_TAR,
    });
  };
  await Promise.all([
    apply("a", [
      { name: "./", type: "5", mode: 0o711 },
      { name: "one", data: "1" },
    ]),
    apply("b", [{ name: "two", data: "2" }]),
  ]);
  snapshots.commit("1", "a");
  snapshots.commit("2", "b", "1");
  expect(snapshots.stat("2")?.parent).toBe("1");
  const target = `${base}/mnt`;
  mkdirSync(target);
  for (const { source, type, options } of snapshots.view("v", "2")) mount(source, target, type, options);
  try {
    expect(readdirSync(target).sort()).toEqual(["one", "two"]);
    expect(statSync(target).mode & 0o7777).toBe(0o711);
  } finally {
    unmount(target);
  }
});

test("a snapshotter without an upper directory has its layers applied through its mounts", async () => {
  const real = overlayDriver.open(`${base}/mounted`);
  const plain = { ...real, upper: () => undefined };
  const layers = [
    [
      { name: "d/a", data: "a" },
      { name: "gone", data: "x" },
    ],
    [{ name: "d/b", data: "b" }, { name: ".wh.gone" }, { name: "link", type: "1", link: "d/a" }],
  ];
  let parent: string | undefined;
  for (const [index, members] of layers.entries()) {
    plain.prepare("next", parent);
    await applyLayer({
      snapshotter: plain,
      key: "next",
      source: inPieces(tar(members), 512),
      mediaType: OCI_LAYER_TAR,
    });
    parent = `layer ${index}`;
    plain.commit(parent, "next");
  }
  const target = `${base}/mnt2`;
  mkdirSync(target);
  for (const { source, type, options } of plain.view("v", parent)) mount(source, target, type, options);
  try {
    expect(readdirSync(target).sort()).toEqual(["d", "link"]);
    expect(readFileSync(`${target}/link`, "utf8")).toBe("a");
  } finally {
    unmount(target);
  }
});
