/**
 * Hostile layers leave nothing outside the directory that they are unpacked into, refused or not. Needs root.
 */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { HOSTILE_LAYERS } from "../../spec-fixtures/archives/hostile.ts";
import { CtrError } from "../../src/error.ts";
import { unpackLayer } from "../../src/image/layer/unpack.ts";
import { OCI_LAYER_TAR } from "../../src/spec/image/media-types.ts";
import { inPieces, type Member, tar } from "../support/tar-writer.ts";
import { listTree } from "../support/tree-listing.ts";

const base = mkdtempSync("/tmp/ctr-bun-hostile-");
afterAll(() => rmSync(base, { recursive: true, force: true }));
const outside = `${base}/outside`;
mkdirSync(`${outside}/a`, { recursive: true });
writeFileSync(`${outside}/canary`, "untouched");
writeFileSync(`${outside}/a/canary`, "untouched");
chmodSync(outside, 0o711);

/** All around the directory that is unpacked into, that one left out. */
function surroundings(): string[] {
  return listTree(base).filter((line) => !/^(\.|run\/?.*) /.test(line));
}

function aimed(members: readonly Member[]): Member[] {
  const aim = (text: string) => text.replaceAll("OUTSIDE", outside);
  return members.map((it) => ({
    ...it,
    name: aim(it.name),
    ...(it.link === undefined ? {} : { link: aim(it.link) }),
    ...(typeof it.data === "string" ? { data: aim(it.data) } : {}),
    ...(it.pax === undefined
      ? {}
      : {
          pax: it.pax.map(([key, value]) => [key, typeof value === "string" ? aim(value) : value] as const),
        }),
  }));
}

async function unpack(
  members: readonly Member[],
  whiteouts: "overlay" | "remove",
  piece: number,
  lower: string[],
) {
  rmSync(`${base}/run`, { recursive: true, force: true });
  mkdirSync(`${base}/run`);
  try {
    await unpackLayer({
      source: inPieces(tar(aimed(members)), piece),
      mediaType: OCI_LAYER_TAR,
      rootPath: `${base}/run`,
      whiteouts,
      lower,
    });
    return "harmless";
  } catch (error) {
    expect(error).toBeInstanceOf(CtrError);
    return "refused";
  }
}

for (const whiteouts of ["overlay", "remove"] as const) {
  describe(`hostile layers, whiteouts: ${whiteouts}`, () => {
    for (const { name, outcome, members } of HOSTILE_LAYERS) {
      test(name, async () => {
        const before = surroundings();
        expect(await unpack(members, whiteouts, 700, [])).toBe(outcome);
        expect(surroundings()).toEqual(before);
        if (outcome === "refused" && whiteouts === "overlay") expect(readdirSync(`${base}/run`)).toEqual([]);
        expect(readFileSync(`${outside}/canary`, "utf8")).toBe("untouched");
      });
    }
  });
}

describe("links of a lower layer that lead outside", () => {
  mkdirSync(`${base}/lower`);
  symlinkSync(outside, `${base}/lower/absolute`);
  symlinkSync(`../outside`, `${base}/lower/relative`);
  symlinkSync(`${"../".repeat(20)}${outside}`, `${base}/lower/far`);
  for (const name of ["absolute", "relative", "far"]) {
    for (const member of [
      { name: `${name}/canary`, data: "evil" },
      { name: `${name}/.wh.canary` },
      { name: `${name}/.wh..wh..opq` },
      { name: `${name}/a/b/c`, type: "5" },
      { name: "x", type: "1", link: `${name}/canary` },
    ] satisfies Member[]) {
      test(`${name}: ${member.name}`, async () => {
        const before = surroundings();
        const expected = member.name === "x" ? "refused" : "harmless";
        expect(await unpack([member], "overlay", 4096, [`${base}/lower`])).toBe(expected);
        expect(surroundings()).toEqual(before);
      });
    }
  }
});
