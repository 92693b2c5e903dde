/**
 * Hostile layers, made by code: each tries to get at something outside the directory that it is unpacked into, or to
 * use up the host. test/host/layer-hostile.test.ts unpacks each one beside canaries that must not change.
 */
import { type Member, paxData } from "../../test/support/tar-writer.ts";

/** What must become of a layer: refused, or unpacked to something harmless. */
export type Outcome = "refused" | "harmless";

/** One layer. `OUTSIDE` in names and links stands for the absolute path of the canary directory. */
export interface HostileLayer {
  readonly name: string;
  readonly outcome: Outcome;
  readonly members: readonly Member[];
}

const UP = "../".repeat(12);
const link = (name: string, to: string): Member => ({ name, type: "2", link: to });
const hard = (name: string, to: string): Member => ({ name, type: "1", link: to });
const file = (name: string): Member => ({ name, data: "evil" });
const directory = (name: string, more: Partial<Member> = {}): Member => ({ name, type: "5", ...more });
const long = (length: number) => "x".repeat(length);

export const HOSTILE_LAYERS: readonly HostileLayer[] = [
  { name: "dotdot name", outcome: "refused", members: [file(`${UP}OUTSIDE/canary`)] },
  { name: "dotdot after a directory", outcome: "refused", members: [file(`a/b/../../../OUTSIDE/canary`)] },
  { name: "dotdot alone", outcome: "refused", members: [directory("..", { mode: 0o777 })] },
  { name: "absolute name", outcome: "harmless", members: [file("OUTSIDE/canary")] },
  { name: "absolute name with double slashes", outcome: "harmless", members: [file("//OUTSIDE//canary")] },
  { name: "empty name", outcome: "refused", members: [file("")] },
  { name: "empty name of a link", outcome: "refused", members: [link("", "OUTSIDE")] },
  { name: "file in place of the root", outcome: "refused", members: [file(".")] },
  { name: "link in place of the root", outcome: "refused", members: [link("./", "OUTSIDE")] },
  { name: "hard link in place of the root", outcome: "refused", members: [file("a"), hard("/", "a")] },
  {
    name: "absolute link, then through it",
    outcome: "harmless",
    members: [link("a", "OUTSIDE"), file("a/canary")],
  },
  {
    name: "relative link, then through it",
    outcome: "harmless",
    members: [link("a", `${UP}OUTSIDE`), file("a/canary")],
  },
  {
    name: "chain of links, then through it",
    outcome: "harmless",
    members: [link("a", "b/c"), directory("b"), link("b/c", `../${UP}OUTSIDE`), file("a/canary")],
  },
  {
    name: "directory through a link",
    outcome: "harmless",
    members: [link("a", "OUTSIDE"), directory("a/new/deep")],
  },
  {
    name: "directory entry over a link",
    outcome: "harmless",
    members: [link("a", "OUTSIDE"), directory("a", { mode: 0o777, uid: 1234 })],
  },
  {
    name: "directory, then a link in its place, then a file in it",
    outcome: "harmless",
    members: [directory("a"), file("a/x"), link("a", "OUTSIDE"), file("a/canary")],
  },
  {
    name: "file over a link",
    outcome: "harmless",
    members: [link("canary", "OUTSIDE/canary"), file("canary")],
  },
  { name: "hard link to an absolute path", outcome: "refused", members: [hard("a", "OUTSIDE/canary")] },
  { name: "hard link with dotdot", outcome: "refused", members: [hard("a", `${UP}OUTSIDE/canary`)] },
  {
    name: "hard link through a link",
    outcome: "refused",
    members: [link("a", "OUTSIDE"), hard("b", "a/canary")],
  },
  {
    name: "hard link to a link, then written to",
    outcome: "harmless",
    members: [link("a", "OUTSIDE/canary"), hard("b", "a"), file("b")],
  },
  {
    name: "hard link to a link, with a mode",
    outcome: "harmless",
    members: [link("a", "OUTSIDE/canary"), { ...hard("b", "a"), mode: 0o4777, uid: 4321 }],
  },
  { name: "hard link to the root", outcome: "refused", members: [hard("a", ".")] },
  { name: "hard link to nothing", outcome: "refused", members: [hard("a", "")] },
  { name: "hard link to a directory", outcome: "refused", members: [directory("d"), hard("a", "d")] },
  { name: "hard link to itself", outcome: "harmless", members: [file("a"), hard("a", "a")] },
  { name: "link to itself, then through it", outcome: "refused", members: [link("a", "a"), file("a/b")] },
  {
    name: "links to each other, then through them",
    outcome: "refused",
    members: [link("a", "b"), link("b", "a"), file("a/x")],
  },
  { name: "link to nothing", outcome: "refused", members: [link("a", "")] },
  {
    name: "link to /proc/self/root",
    outcome: "harmless",
    members: [link("a", "/proc/self/root"), file("aOUTSIDE/canary")],
  },
  { name: "whiteout with dotdot", outcome: "refused", members: [file("../OUTSIDE/.wh.canary")] },
  { name: "whiteout of dotdot", outcome: "refused", members: [directory("a"), file("a/.wh...")] },
  { name: "whiteout of dot", outcome: "refused", members: [directory("a"), file("a/.wh..")] },
  { name: "whiteout of nothing", outcome: "refused", members: [file(".wh.")] },
  {
    name: "whiteout through a link",
    outcome: "harmless",
    members: [link("a", "OUTSIDE"), file("a/.wh.canary")],
  },
  {
    name: "opaque mark through a link",
    outcome: "harmless",
    members: [link("a", "OUTSIDE"), file("a/.wh..wh..opq")],
  },
  {
    name: "whiteout shipped as a hard link",
    outcome: "harmless",
    members: [hard(".wh.a", "OUTSIDE/canary")],
  },
  { name: "whiteout shipped as a link", outcome: "harmless", members: [link(".wh.a", "OUTSIDE/canary")] },
  {
    name: "opaque mark shipped as a link",
    outcome: "harmless",
    members: [link("a/.wh..wh..opq", "OUTSIDE")],
  },
  { name: "below a whiteout's name", outcome: "refused", members: [file(".wh.a/b")] },
  {
    name: "character device 0:0",
    outcome: "harmless",
    members: [file("a"), { name: "a", type: "3", major: 0, minor: 0 }],
  },
  {
    name: "overlay's own attributes",
    outcome: "harmless",
    members: [
      directory("a", {
        pax: [
          ["SCHILY.xattr.trusted.overlay.redirect", "/OUTSIDE"],
          ["SCHILY.xattr.trusted.overlay.opaque", "y"],
          ["LIBARCHIVE.xattr.user.overlay.redirect", Buffer.from("/OUTSIDE").toString("base64")],
        ],
      }),
    ],
  },
  {
    name: "device number beyond the kernel's",
    outcome: "refused",
    members: [{ name: "a", type: "4", major: 4096, minor: 1 }],
  },
  { name: "owner beyond 32 bits", outcome: "refused", members: [{ name: "a", uid: 2 ** 32 }] },
  {
    name: "owner that means no change",
    outcome: "refused",
    members: [{ name: "a", pax: [["uid", "4294967295"]] }],
  },
  { name: "negative owner", outcome: "refused", members: [{ name: "a", gid: -1 }] },
  { name: "negative size", outcome: "refused", members: [{ name: "a", size: -512n }] },
  { name: "size of 2^62", outcome: "refused", members: [{ name: "a", size: 2n ** 62n }] },
  {
    name: "size in PAX that is no number",
    outcome: "refused",
    members: [{ name: "a", pax: [["size", "0x10"]] }],
  },
  { name: "NUL in a PAX path", outcome: "refused", members: [{ name: "a", pax: [["path", "b\0c"]] }] },
  {
    name: "dotdot in a PAX path",
    outcome: "refused",
    members: [{ name: "a", pax: [["path", `${UP}OUTSIDE/canary`]] }],
  },
  {
    name: "dotdot in a global PAX path",
    outcome: "harmless",
    members: [{ name: "g", type: "g", data: paxData([["path", "../../../canary"]]) }, file("a")],
  },
  {
    name: "dotdot in a GNU long name",
    outcome: "refused",
    members: [{ name: `${UP}OUTSIDE/canary`, longName: true }],
  },
  {
    name: "dotdot in a sparse name",
    outcome: "refused",
    members: [
      {
        name: "a",
        data: "x",
        pax: [
          ["GNU.sparse.map", "0,1"],
          ["GNU.sparse.size", "1"],
          ["GNU.sparse.name", `${UP}OUTSIDE/c`],
        ],
      },
    ],
  },
  {
    name: "PAX header of 2 MiB",
    outcome: "refused",
    members: [{ name: "x", type: "x", data: long(2 << 20) }, file("a")],
  },
  {
    name: "GNU long name of 2 MiB",
    outcome: "refused",
    members: [{ name: "x", type: "L", data: long(2 << 20) }, file("a")],
  },
  {
    name: "path of 5000 bytes",
    outcome: "refused",
    members: [{ name: "a", pax: [["path", `${"d/".repeat(2500)}f`]] }],
  },
  { name: "name of 300 bytes", outcome: "refused", members: [{ name: "a", pax: [["path", long(300)]] }] },
  {
    name: "attribute of 100 KB",
    outcome: "refused",
    members: [{ name: "a", pax: [["SCHILY.xattr.user.a", long(100_000)]] }],
  },
  {
    name: "attribute with a name of 300 bytes",
    outcome: "refused",
    members: [{ name: "a", pax: [[`SCHILY.xattr.user.${long(300)}`, "1"]] }],
  },
  {
    name: "sparse file of 8 EiB",
    outcome: "refused",
    members: [
      {
        name: "a",
        data: "x",
        pax: [
          ["GNU.sparse.map", "0,1"],
          ["GNU.sparse.size", "9007199254740991"],
        ],
      },
    ],
  },
  {
    name: "sparse pieces that overlap",
    outcome: "refused",
    members: [
      {
        name: "a",
        data: "xxxx",
        pax: [
          ["GNU.sparse.map", "0,2,1,2"],
          ["GNU.sparse.size", "10"],
        ],
      },
    ],
  },
  {
    name: "sparse pieces beyond the end",
    outcome: "refused",
    members: [
      {
        name: "a",
        data: "xx",
        pax: [
          ["GNU.sparse.map", "9,2"],
          ["GNU.sparse.size", "10"],
        ],
      },
    ],
  },
  {
    name: "sparse map of a million pieces",
    outcome: "refused",
    members: [
      {
        name: "a",
        data: "1000000\n",
        pax: [
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "10"],
        ],
      },
    ],
  },
  {
    name: "wrong checksum",
    outcome: "refused",
    members: [{ name: "a", damage: (block) => void block.set([0x39], 0) }],
  },
  { name: "unknown type", outcome: "refused", members: [{ name: "a", type: "Z" }] },
  {
    name: "deep links that multiply",
    outcome: "refused",
    members: [
      ...Array.from({ length: 45 }, (_, index) => link(`l${index}`, `l${index + 1}/l${index + 1}`)),
      file("l0/x"),
    ],
  },
];
