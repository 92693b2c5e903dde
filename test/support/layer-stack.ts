/**
 * A stack of layers on a tmpfs, unpacked one over another, and looked at as overlayfs shows it. For tests; needs root.
 */
import { afterAll, afterEach, beforeEach } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type UnpackOptions, type UnpackResult, unpackLayer } from "../../src/image/layer/unpack.ts";
import { mount, unmount } from "../../src/kernel/mount.ts";
import { OCI_LAYER_TAR } from "../../src/spec/image/media-types.ts";
import { inPieces, type Member, tar } from "./tar-writer.ts";

/** What a test does with a stack. */
export interface LayerStack {
  /** Directory that it is in; layer number N is in `N` below it. */
  readonly base: string;
  /** Directories of the layers, lowest first. */
  readonly layers: string[];
  /** Unpacks one more layer on top of those before it. */
  layer(members: readonly Member[], more?: Partial<UnpackOptions>): Promise<UnpackResult>;
  /** Mounts the layers, and says where. Unmounted after the test. */
  view(): string;
}

/** A stack that is empty before each test of the file, and gone after the last. */
export function layerStack(): LayerStack {
  const base = mkdtempSync("/tmp/ctr-bun-layer-");
  const merged = `${base}/merged`;
  const layers: string[] = [];
  let mounted = false;
  mount("tmpfs", base, "tmpfs", []);
  afterAll(() => {
    unmount(base);
    rmSync(base, { recursive: true });
  });
  beforeEach(() => {
    layers.length = 0;
    mounted = false;
  });
  afterEach(() => {
    if (mounted) unmount(merged);
    for (const name of readdirSync(base)) rmSync(`${base}/${name}`, { recursive: true, force: true });
  });
  return {
    base,
    layers,
    async layer(members, more = {}) {
      const rootPath = `${base}/${layers.length}`;
      mkdirSync(rootPath);
      const result = await unpackLayer({
        source: inPieces(tar(members), 1000),
        mediaType: OCI_LAYER_TAR,
        rootPath,
        whiteouts: "overlay",
        lower: [...layers].reverse(),
        ...more,
      });
      layers.push(rootPath);
      return result;
    },
    view() {
      mkdirSync(merged, { recursive: true });
      const lower = [...layers].reverse();
      if (lower.length === 1) mount(lower[0] ?? "", merged, "", ["bind", "ro"]);
      else mount("overlay", merged, "overlay", ["ro", `lowerdir=${lower.join(":")}`]);
      mounted = true;
      return merged;
    },
  };
}

export const file = (name: string, data = name): Member => ({ name, data });
export const directory = (name: string, more: Partial<Member> = {}): Member => ({ name, type: "5", ...more });
export const link = (name: string, to: string): Member => ({ name, type: "2", link: to });
export const hard = (name: string, to: string): Member => ({ name, type: "1", link: to });
