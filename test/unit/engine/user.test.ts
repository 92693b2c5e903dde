// Who the program runs as. A wrong reading here makes someone root.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { resolveUser } from "../../../src/engine/config/user.ts";

const passwd = [
  "root:x:0:0:root:/root:/bin/sh",
  "app:x:1000:1001:An App:/home/app:/bin/sh",
  "1000:x:77:77::/odd:/bin/sh",
  "wrap:x:4294967296:0::/:/bin/sh",
  "minus:x:4294967295:0::/:/bin/sh",
  "negative:x:-1:0::/:/bin/sh",
  "nohome:x:5:5:::",
  "relative:x:6:6::etc:",
  "# comment:x:9:9::/:",
  "short",
].join("\n");
const group = [
  "root:x:0:",
  "app:x:1001:",
  "extra:x:2000:app,other",
  "video:x:44:app",
  "wrap:x:4294967296:app",
].join("\n");
const resolve = (text: string) => resolveUser(text, { passwd, group }, "--user");

describe("a user", () => {
  test("by name has group, supplementary groups and home from the image", () => {
    expect(resolve("app")).toEqual({
      uid: 1000,
      gid: 1001,
      additionalGids: [1001, 2000, 44],
      home: "/home/app",
    });
  });

  test("that is not given is root", () => {
    expect(resolve("")).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: "/root" });
    expect(resolveUser("", { passwd: undefined, group: undefined }, "--user")).toEqual({
      uid: 0,
      gid: 0,
      additionalGids: [0],
      home: "/",
    });
  });

  test("by number needs no entry, and always gets setgroups with its own group", () => {
    expect(resolve("4242")).toEqual({ uid: 4242, gid: 0, additionalGids: [0], home: "/" });
    expect(resolve("4242:4343")).toEqual({ uid: 4242, gid: 4343, additionalGids: [4343], home: "/" });
  });

  test("whose name is a number is found by name first, as runc does", () => {
    expect(resolve("1000").uid).toBe(77);
  });

  test("with a group of its own gets that one alone", () => {
    expect(resolve("app:extra")).toEqual({ uid: 1000, gid: 2000, additionalGids: [2000], home: "/home/app" });
    expect(resolve("app:")).toEqual(resolve("app"));
    expect(resolve(":44")).toEqual({ uid: 0, gid: 44, additionalGids: [44], home: "/root" });
  });

  test("without a usable home has /", () => {
    expect(resolve("nohome").home).toBe("/");
    expect(resolve("relative").home).toBe("/");
  });

  test("that the image has not is named, with the file", () => {
    expect(() => resolve("ghost")).toThrow(
      expect.objectContaining({
        code: "NO_USER",
        message: 'the image has no user "ghost"',
        path: "/etc/passwd",
      }),
    );
    expect(() => resolve("app:ghosts")).toThrow(expect.objectContaining({ code: "NO_GROUP" }));
    expect(() => resolveUser("app", { passwd: undefined, group: undefined }, "--user")).toThrow(
      "no /etc/passwd",
    );
  });
});

test("IDs that wrap around or mean 'unchanged' are no IDs", () => {
  for (const text of ["4294967295", "4294967296", "99999999999999999999", "0:4294967295", "1:4294967296"]) {
    expect(() => resolve(text)).toThrow(expect.objectContaining({ code: "INVALID_USER" }));
  }
  expect(resolve("4294967294").uid).toBe(4294967294);
  expect(resolve("2147483648").uid).toBe(2147483648);
  for (const text of ["wrap", "minus", "negative"]) expect(() => resolve(text)).toThrow("no user");
});

test("nothing but plain digits is a number", () => {
  for (const text of ["0x0", "+0", "-0", " 0", "0 ", "0\n", "1e3", "0:0:0", "٠", "root ", "#", "root:x:0"]) {
    expect(() => resolve(text)).toThrow();
  }
});

test("hostile files give no user that was not asked for", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (first, second) => {
      const { uid, additionalGids, gid } = resolveUser(
        "31337:31338",
        { passwd: first, group: second },
        "--user",
      );
      expect(uid === 31337 || first.includes("31337")).toBe(true);
      expect(additionalGids).toContain(gid);
    }),
  );
});
