// What the tests of images share: a snapshotter of plain directories, images made in memory, a store to throw away.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SnapshotInfo, SnapshotKind, Snapshotter } from "../../../src/driver.ts";
import { fail } from "../../../src/error.ts";
import { digestOf } from "../../../src/image/store/blobs.ts";
import { openStore, type Store } from "../../../src/image/store/store.ts";
import type { FakeImage } from "../../support/fake-registry.ts";

/** One directory a snapshot, each layer alone; committed ones are renamed. Enough to see what was asked of it. */
export function directorySnapshotter(root: string): Snapshotter & { readonly root: string } {
  mkdirSync(join(root, "s"), { recursive: true });
  const nameOf = (key: string) => new Bun.CryptoHasher("sha1").update(key).digest("hex");
  const recordOf = (key: string) => join(root, `${nameOf(key)}.json`);
  const directoryOf = (key: string) => join(root, "s", nameOf(key));
  const stat = (key: string): SnapshotInfo | undefined =>
    existsSync(recordOf(key)) ? JSON.parse(readFileSync(recordOf(key), "utf8")) : undefined;
  const write = (key: string, kind: SnapshotKind, parent: string | undefined) => {
    writeFileSync(`${recordOf(key)}.tmp`, JSON.stringify({ key, kind, parent }));
    renameSync(`${recordOf(key)}.tmp`, recordOf(key));
  };
  const all = () =>
    readdirSync(root)
      .filter((name) => name.endsWith(".json"))
      .map((name): SnapshotInfo => JSON.parse(readFileSync(join(root, name), "utf8")));
  const lowers = (parent: string | undefined): string[] =>
    parent === undefined ? [] : [directoryOf(parent), ...lowers(stat(parent)?.parent)];
  const mounts = (key: string) => {
    const below = lowers(stat(key)?.parent);
    if (below.length === 0) return [{ type: "bind", source: directoryOf(key), options: ["rbind", "rw"] }];
    return [{ type: "overlay", source: "overlay", options: [`lowerdir=${below.join(":")}`] }];
  };
  return {
    root,
    name: "directories",
    stat,
    usage: () => ({ bytes: 0, inodes: 0 }),
    prepare(key, parent) {
      if (stat(key) !== undefined) throw fail({ code: "EXISTS", message: `snapshot ${key} exists` });
      if (parent !== undefined && stat(parent)?.kind !== "committed") {
        throw fail({ code: "NOT_FOUND", message: `parent ${parent} is not committed` });
      }
      mkdirSync(directoryOf(key));
      write(key, "active", parent);
      return mounts(key);
    },
    view: () => [],
    mounts,
    upper: directoryOf,
    commit(name, key) {
      renameSync(directoryOf(key), directoryOf(name));
      write(name, "committed", stat(key)?.parent);
      rmSync(recordOf(key));
    },
    remove(key) {
      if (all().some(({ parent }) => parent === key))
        throw fail({ code: "IN_USE", message: `${key} is used` });
      rmSync(directoryOf(key), { recursive: true, force: true });
      rmSync(recordOf(key), { force: true });
    },
    walk: (visit) => all().forEach(visit),
  };
}

/** A store and a snapshotter in a directory of their own. */
export interface Place {
  readonly directory: string;
  readonly store: Store;
  readonly snapshotter: ReturnType<typeof directorySnapshotter>;
  /** Digests of blobs, names of partial files, leases and locks, keys of snapshots. */
  contents(): { blobs: string[]; partials: string[]; leases: string[]; locks: string[]; snapshots: string[] };
  remove(): void;
}

export function makePlace(directory = mkdtempSync(join(tmpdir(), "store-"))): Place {
  const store = openStore(join(directory, "store"));
  const snapshotter = directorySnapshotter(join(directory, "snapshots"));
  const list = (name: string) => {
    const path = join(directory, "store", name);
    return existsSync(path) ? readdirSync(path).sort() : [];
  };
  return {
    directory,
    store,
    snapshotter,
    contents() {
      const snapshots: string[] = [];
      snapshotter.walk(({ key, kind }) => snapshots.push(kind === "committed" ? key : `${kind} ${key}`));
      return {
        blobs: list("blobs/sha256").map((name) => `sha256:${name}`),
        partials: list("ingest"),
        leases: list("leases"),
        locks: list("locks").filter((name) => name !== "index" && name !== "garbage"),
        snapshots: snapshots.sort(),
      };
    },
    remove() {
      store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** An uncompressed tar of plain files. */
export function tarOf(files: Readonly<Record<string, string | Uint8Array>>): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${bytes.byteLength.toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0", 136);
    header.write("        ", 148);
    header.write("0", 156);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    blocks.push(header, bytes, Buffer.alloc((512 - (bytes.byteLength % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export interface ImageOptions {
  readonly docker?: boolean;
  readonly architecture?: string;
  readonly variant?: string;
  readonly created?: string;
  readonly plain?: boolean;
}

/** An image of one layer for each set of files. */
export function imageOf(
  layers: readonly Readonly<Record<string, string | Uint8Array>>[],
  {
    docker = false,
    architecture = "amd64",
    variant,
    created = "2026-01-02T03:04:05Z",
    plain = false,
  }: ImageOptions = {},
): FakeImage {
  const tars = layers.map(tarOf);
  const blobs = tars.map((tar) => (plain ? tar : Bun.gzipSync(new Uint8Array(tar))));
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      ...(variant === undefined ? {} : { variant }),
      os: "linux",
      created,
      config: { Cmd: ["/bin/x"], Env: ["A=b"] },
      rootfs: { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) },
    }),
  );
  const layerType = docker
    ? "application/vnd.docker.image.rootfs.diff.tar.gzip"
    : `application/vnd.oci.image.layer.v1.tar${plain ? "" : "+gzip"}`;
  const mediaType = docker
    ? "application/vnd.docker.distribution.manifest.v2+json"
    : "application/vnd.oci.image.manifest.v1+json";
  const describe = (type: string, bytes: Uint8Array) => ({
    mediaType: type,
    digest: digestOf(bytes),
    size: bytes.byteLength,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(
      docker ? "application/vnd.docker.container.image.v1+json" : "application/vnd.oci.image.config.v1+json",
      config,
    ),
    layers: blobs.map((blob) => describe(layerType, blob)),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return {
    mediaType,
    manifest: bytes,
    digest: digestOf(bytes),
    blobs: [config, ...blobs],
    config: digestOf(config),
    layers: blobs.map((blob) => digestOf(blob)),
    diffIDs: tars.map((tar) => digestOf(tar)),
  };
}

/** An index over images with their platforms. */
export function indexOf(
  entries: readonly {
    readonly image: FakeImage;
    readonly platform?: object;
    readonly annotations?: object;
  }[],
): { bytes: Uint8Array; mediaType: string; digest: string } {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const manifests = entries.map(({ image, ...more }) => ({
    mediaType: image.mediaType,
    digest: image.digest,
    size: image.manifest.byteLength,
    ...more,
  }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  return { bytes, mediaType, digest: digestOf(bytes) };
}

/** Bytes that gzip makes no smaller, the same for the same seed. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
