/** The tar reader: every form of header, names, numbers and holes; compared with what was written. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { tarReader } from "../../../src/image/layer/tar.ts";
import type { TarEntry } from "../../../src/image/layer/tar-entry.ts";
import { header, type Member, member, paxData, put, tar } from "../../support/tar-writer.ts";

interface Read extends TarEntry {
  /** Contents, holes filled. */
  readonly data: Buffer;
}

function read(bytes: Uint8Array, piece = bytes.byteLength): Read[] {
  const reader = tarReader();
  const entries: Read[] = [];
  let data = Buffer.alloc(0);
  for (let at = 0; at < bytes.byteLength; at += piece) {
    reader.feed(bytes.subarray(at, at + piece));
    loop: for (;;) {
      switch (reader.next()) {
        case "more":
          break loop;
        case "end":
          reader.finish();
          return entries;
        case "entry":
          data = Buffer.alloc(Math.min(reader.entry.size, 1 << 24));
          break;
        case "data":
          data.set(reader.data, reader.offset);
          break;
        case "close":
          entries.push({ ...reader.entry, data });
      }
    }
  }
  reader.finish();
  return entries;
}

function only(it: Member): Read {
  const [entry, ...more] = read(tar([it]), 333);
  if (entry === undefined || more.length > 0) throw new Error("not one entry");
  return entry;
}

describe("names", () => {
  const long = `${"directory-with-a-name/".repeat(9)}file`;
  test("ustar prefix", () => expect(only({ name: long.slice(-180) }).name).toBe(long.slice(-180)));
  test("GNU long name and long link", () => {
    const entry = only({
      name: long,
      longName: true,
      type: "2",
      link: `${long}-target`,
      longLink: true,
      format: "gnu",
    });
    expect([entry.name, entry.link]).toEqual([long, `${long}-target`]);
  });
  test("PAX path and linkpath", () => {
    const entry = only({
      name: "short",
      type: "2",
      pax: [
        ["path", long],
        ["linkpath", `/${long}`],
      ],
    });
    expect([entry.name, entry.link]).toEqual([long, `/${long}`]);
  });
  test("GNU's long name wins over PAX", () => {
    expect(only({ name: "gnu", longName: true, pax: [["path", "pax"]] }).name).toBe("gnu");
  });
  test("names are bytes, whatever they are", () => {
    const name = Buffer.from([0x66, 0xff, 0xfe, 0x80, 0x2f, 0xc3, 0x28]);
    const entry = only({ name: "x", patch: (block) => block.set(name) });
    expect(Buffer.from(entry.name, "latin1").equals(name)).toBe(true);
    expect(only({ name: "x", pax: [["path", name]] }).name).toBe(name.toString("latin1"));
  });
  test("an old header's directory ends in a slash", () => {
    expect(only({ name: "dir/", type: "\0", format: "v7" }).type).toBe("directory");
    expect(only({ name: "file", type: "\0", format: "v7" }).type).toBe("file");
  });
});

describe("numbers", () => {
  test("base-256, negative too", () => {
    const entry = only({ name: "a", mtime: -86_401, uid: 3_000_000_000, gid: 2_097_152 });
    expect([entry.seconds, entry.uid, entry.gid]).toEqual([-86_401, 3_000_000_000, 2_097_152]);
  });
  test("PAX times: fractions, negative, longer than nanoseconds", () => {
    const time = (mtime: string) => {
      const { seconds, nanoseconds } = only({ name: "a", pax: [["mtime", mtime]] });
      return [seconds, nanoseconds];
    };
    expect(time("1350244992.023960108")).toEqual([1350244992, 23960108]);
    expect(time("-1.5")).toEqual([-2, 500_000_000]);
    expect(time("-0.000000001")).toEqual([-1, 999_999_999]);
    expect(time("5.12345678987654321")).toEqual([5, 123_456_789]);
    expect(time("7")).toEqual([7, 0]);
  });
  test("numbers padded with spaces, and empty ones", () => {
    const entry = only({
      name: "a",
      patch: (block) => {
        Buffer.from(block.buffer, block.byteOffset).write("    755 ", 100, "latin1");
        block.fill(0, 108, 116);
      },
    });
    expect([entry.mode, entry.uid]).toEqual([0o755, 0]);
  });
  test("an octal number with a letter in it is refused", () => {
    expect(() => only({ name: "a", patch: (block) => void block.set([0x39], 101) })).toThrow("octal");
  });
  test("a size in PAX beats the header's", () => {
    const bytes = Buffer.concat([
      member({ name: "x", type: "x", data: paxData([["size", "3"]]) }),
      header({ name: "a" }, 0),
    ]);
    const data = Buffer.alloc(512);
    data.write("abc");
    expect(read(Buffer.concat([bytes, data, Buffer.alloc(1024)]))[0]?.data.toString()).toBe("abc");
  });
});

describe("PAX", () => {
  test("attributes, raw and base64, with zeros and newlines in them", () => {
    const raw = Buffer.from([0, 1, 10, 61, 255]);
    const entry = only({
      name: "a",
      pax: [
        ["SCHILY.xattr.security.capability", raw],
        ["LIBARCHIVE.xattr.user.two%20words", raw.toString("base64")],
        ["SCHILY.xattr.user.empty", ""],
        ["comment", "not an attribute"],
      ],
    });
    const found = [...(entry.xattrs ?? [])].map(([name, value]) => [
      name,
      Buffer.from(value).toString("hex"),
    ]);
    expect(found).toEqual([
      ["security.capability", raw.toString("hex")],
      ["user.two words", raw.toString("hex")],
      ["user.empty", ""],
    ]);
  });
  test("a global header holds until it is taken back, but not for names", () => {
    const [first, second] = read(
      tar([
        {
          name: "g",
          type: "g",
          data: paxData([
            ["mtime", "99"],
            ["uid", "7"],
            ["path", "elsewhere"],
            ["size", "0"],
          ]),
        },
        { name: "a", data: "xyz", mtime: 1 },
        { name: "b", uid: 5, pax: [["uid", ""]] },
      ]),
    );
    expect([first?.name, first?.seconds, first?.uid, first?.data.toString()]).toEqual(["a", 99, 7, "xyz"]);
    expect([second?.name, second?.uid]).toEqual(["b", 5]);
  });
  test("records hold for one entry", () => {
    const [, second] = read(tar([{ name: "a", pax: [["path", "long"]] }, { name: "b" }]));
    expect(second?.name).toBe("b");
  });
  test("an empty value is one", () => expect(only({ name: "a", pax: [["comment", ""]] }).name).toBe("a"));
  for (const broken of ["x a=b\n", "99 a=b\n", "6 a=bc\n", "5 =b\n", "6 a=bx", "999999999999 a=b\n"]) {
    test(`broken record ${JSON.stringify(broken)}`, () => {
      expect(() => read(tar([{ name: "x", type: "x", data: broken }, { name: "a" }]))).toThrow("PAX record");
    });
  }
});

describe("sparse files", () => {
  const holes = "\0\0ab\0\0\0cd\0";
  const pieces = "abcd";
  const expectHoles = (entry: Read, name = "s") => {
    expect([entry.name, entry.size, entry.sparse, entry.data.toString()]).toEqual([name, 10, true, holes]);
  };
  test("PAX 0.0", () => {
    expectHoles(
      only({
        name: "s",
        data: pieces,
        pax: [
          ["GNU.sparse.size", "10"],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.offset", "2"],
          ["GNU.sparse.numbytes", "2"],
          ["GNU.sparse.offset", "7"],
          ["GNU.sparse.numbytes", "2"],
        ],
      }),
    );
  });
  test("PAX 0.1", () => {
    expectHoles(
      only({
        name: "GNUSparseFile.0/s",
        data: pieces,
        pax: [
          ["GNU.sparse.size", "10"],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.name", "s"],
          ["GNU.sparse.map", "2,2,7,2"],
        ],
      }),
    );
  });
  test("PAX 1.0", () => {
    const map = Buffer.alloc(512);
    map.write("2\n2\n2\n7\n2\n");
    expectHoles(
      only({
        name: "GNUSparseFile.0/s",
        data: Buffer.concat([map, Buffer.from(pieces)]),
        pax: [
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.name", "s"],
          ["GNU.sparse.realsize", "10"],
        ],
      }),
    );
  });
  test("PAX 1.0 with a map of several blocks", () => {
    const numbers = [300, ...Array.from({ length: 300 }, (_, index) => [index * 10, 1]).flat()];
    const text = `${numbers.join("\n")}\n`;
    const map = Buffer.alloc(Math.ceil(text.length / 512) * 512);
    map.write(text);
    const entry = only({
      name: "s",
      data: Buffer.concat([map, Buffer.alloc(300, "x")]),
      pax: [
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.realsize", "3000"],
      ],
    });
    expect(entry.data.toString()).toBe(`x${"\0".repeat(9)}`.repeat(300));
  });
  test("old GNU, with an extension block", () => {
    const parts = Array.from({ length: 10 }, (_, index) => [index * 100, 1] as const);
    const main = header(
      {
        name: "s",
        type: "S",
        format: "gnu",
        patch: (block) => {
          block.fill(0, 329, 512);
          parts.slice(0, 4).forEach(([offset, length], index) => {
            put(block, 386 + index * 24, 12, offset);
            put(block, 398 + index * 24, 12, length);
          });
          block[482] = 1;
          put(block, 483, 12, 1000);
        },
      },
      10,
    );
    const extension = Buffer.alloc(512);
    parts.slice(4).forEach(([offset, length], index) => {
      put(extension, index * 24, 12, offset);
      put(extension, 12 + index * 24, 12, length);
    });
    const data = Buffer.alloc(512);
    data.write("xxxxxxxxxx");
    const [entry, after] = read(Buffer.concat([main, extension, data, tar([{ name: "after" }])]), 100);
    expect(entry?.data.toString()).toBe(`x${"\0".repeat(99)}`.repeat(10));
    expect(after?.name).toBe("after");
  });
});

describe("ends", () => {
  const archive = tar([{ name: "a", data: "some data" }]);
  test("without the two blocks of zeros", () => expect(read(archive.subarray(0, 1024)).length).toBe(1));
  test("right behind the last file's data", () => expect(read(archive.subarray(0, 521)).length).toBe(1));
  test("with one block of zeros", () => expect(read(archive.subarray(0, 1536)).length).toBe(1));
  test("what comes after the end is not looked at", () => {
    expect(read(Buffer.concat([archive, Buffer.from("rubbish".repeat(1000))])).length).toBe(1);
  });
  test("a lone block of zeros in between is refused", () => {
    const block = Buffer.alloc(512);
    expect(() => read(Buffer.concat([archive.subarray(0, 1024), block, archive]))).toThrow("zeros");
  });
  for (const length of [100, 511, 513, 520, 1000]) {
    test(`cut at ${length} bytes`, () => expect(() => read(archive.subarray(0, length))).toThrow("middle"));
  }
  test("cut after a PAX header", () => {
    const whole = tar([{ name: "a", pax: [["path", "b"]] }]);
    expect(() => read(whole.subarray(0, 1024))).toThrow("middle");
  });
});

test("what is written is read, in pieces of any size", () => {
  const name = fc.stringMatching(/^[a-z]{1,20}(\/[a-z.]{1,30}){0,6}$/);
  const one = fc.record({
    name,
    data: fc.uint8Array({ maxLength: 3000 }),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    mtime: fc.integer({ min: -(2 ** 33), max: 2 ** 34 }),
    longName: fc.boolean(),
    format: fc.constantFrom("gnu" as const, "ustar" as const),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 6 }), fc.integer({ min: 1, max: 4000 }), (members, piece) => {
      const usable = members.map((it) => ({ ...it, longName: it.longName || it.name.length > 100 }));
      const entries = read(tar(usable), piece);
      expect(entries.length).toBe(usable.length);
      for (const [index, it] of usable.entries()) {
        const entry = entries[index];
        expect([entry?.name, entry?.mode, entry?.uid, entry?.gid, entry?.seconds]).toEqual([
          it.name,
          it.mode,
          it.uid,
          it.gid,
          it.mtime,
        ]);
        expect(entry?.data.equals(it.data)).toBe(true);
      }
    }),
    { numRuns: 200 },
  );
});

test("damage anywhere is an error or a different reading, never a hang or a foreign exception", () => {
  const archive = tar([
    {
      name: "a",
      data: "0123456789",
      pax: [
        ["mtime", "1.5"],
        ["SCHILY.xattr.user.a", "b"],
      ],
    },
    { name: "long".repeat(60), longName: true, format: "gnu" },
    {
      name: "s",
      data: "x",
      pax: [
        ["GNU.sparse.map", "5,1"],
        ["GNU.sparse.size", "10"],
      ],
    },
  ]);
  fc.assert(
    fc.property(
      fc.nat(archive.byteLength - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.nat(1000),
      (at, by, cut) => {
        const bytes = Buffer.from(archive.subarray(0, archive.byteLength - cut));
        if (at < bytes.byteLength) bytes[at] = (bytes[at] ?? 0) ^ by;
        try {
          read(bytes, 777);
        } catch (error) {
          expect(error).toHaveProperty("name", "CtrError");
        }
      },
    ),
    { numRuns: 1000 },
  );
});
