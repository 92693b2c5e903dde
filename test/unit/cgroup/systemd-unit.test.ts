/** From cgroupsPath to a unit's name and place, and from annotations to its properties. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { annotatedProperties, subgroups } from "../../../drivers/cgroup-systemd/annotations.ts";
import { cgroupSystemdDriver } from "../../../drivers/cgroup-systemd/driver.ts";
import { parseVariant } from "../../../drivers/cgroup-systemd/gvariant.ts";
import { isWithoutSystemd } from "../../../drivers/cgroup-systemd/remove.ts";
import { expandSlice, unitOf, unitPlace } from "../../../drivers/cgroup-systemd/unit.ts";
import { asCtrError, fail } from "../../../src/error.ts";
import { hybrid } from "./fixtures.ts";

const placed = (cgroupsPath: string | undefined, user = false, id = "c1", version = 252) => {
  const request = { id, cgroupsPath, resources: undefined, ownNamespace: true };
  const { unit, kind, slice, parts } = unitPlace(request, user, version);
  return `${kind} ${unit} in ${slice} at /${parts.join("/")}`;
};

function errorOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    const { code, field, message } = asCtrError(thrown);
    return `${code} ${field}: ${message}`;
  }
  return "nothing was thrown";
}

describe("a container's unit", () => {
  test("is a scope in system.slice without a path, in user.slice for an ordinary user", () => {
    const place = "Scope ctr-bun-c1.scope in system.slice at /system.slice/ctr-bun-c1.scope";
    expect([placed(undefined), placed("")]).toEqual([place, place]);
    expect(placed("", true)).toBe("Scope ctr-bun-c1.scope in user.slice at /user.slice/ctr-bun-c1.scope");
  });

  test("has the slice, the prefix and the name of slice:prefix:name, each of which may be empty but the last", () => {
    expect(placed("machine.slice:libpod:abc")).toBe(
      "Scope libpod-abc.scope in machine.slice at /machine.slice/libpod-abc.scope",
    );
    expect(placed(":box:1")).toBe("Scope box-1.scope in system.slice at /system.slice/box-1.scope");
    expect(placed("::alone")).toBe("Scope alone.scope in system.slice at /system.slice/alone.scope");
    expect(placed("-.slice:a:b")).toBe("Scope a-b.scope in -.slice at /a-b.scope");
    expect(placed("kubepods-besteffort-pod1.slice:cri:x")).toBe(
      "Scope cri-x.scope in kubepods-besteffort-pod1.slice at /kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-x.scope",
    );
  });

  test("is a slice where the name is one, which lies where its name says", () => {
    expect(placed("system.slice::system-box.slice")).toBe(
      "Slice system-box.slice in system.slice at /system.slice/system-box.slice",
    );
    expect(placed("-.slice:ignored:box.slice")).toBe("Slice box.slice in -.slice at /box.slice");
    expect(errorOf(() => placed("system.slice::box.slice"))).toBe(
      "INVALID_CONFIG linux.cgroupsPath: the slice box.slice is not in system.slice",
    );
  });

  test("has a directory of another name where a cgroup has files of its own", () => {
    expect(placed("::memory")).toBe("Scope memory.scope in system.slice at /system.slice/_memory.scope");
    expect(placed("a.slice::hugetlb")).toBe("Scope hugetlb.scope in a.slice at /a.slice/hugetlb.scope");
    const at = (version: number) => placed("cpu.slice:memory.:y", false, "c1", version).split(" at ")[1];
    expect([at(252), at(253)]).toEqual(["/_cpu.slice/memory.-y.scope", "/_cpu.slice/_memory.-y.scope"]);
    expect(placed("::_x")).toBe("Scope _x.scope in system.slice at /system.slice/__x.scope");
  });

  test("has of an ID what a unit's name cannot have in systemd's escapes", () => {
    expect(placed("", false, "a+b_c.d-e")).toBe(
      "Scope ctr-bun-a\\x2bb_c.d-e.scope in system.slice at /system.slice/ctr-bun-a\\x2bb_c.d-e.scope",
    );
    expect(errorOf(() => placed("", false, "x".repeat(300)))).toContain("longer than 255 characters");
  });

  test("of any other form is refused, in runc's words", () => {
    for (const path of ["/a/b", "a", "a.slice:b", "a.slice:b:c:d"]) {
      expect(errorOf(() => placed(path))).toBe(
        `INVALID_CONFIG linux.cgroupsPath: expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got ${JSON.stringify(path)} instead`,
      );
    }
    for (const slice of [
      "a/b.slice",
      "system",
      ".slice",
      "a--b.slice",
      "-a.slice",
      "a-.slice",
      "a b.slice",
    ]) {
      expect(errorOf(() => placed(`${slice}:b:c`))).toBe(
        `INVALID_CONFIG linux.cgroupsPath: invalid slice name: ${slice}`,
      );
    }
    for (const name of ["a/b", "a b", "a\nb", "é", "@", "a@b@c"]) {
      expect(errorOf(() => placed(`:p:${name}`))).toContain("is no name of a unit");
    }
    expect(errorOf(() => placed(":p:"))).toContain("has no name for the unit");
  });

  test("is read off its directory again, whatever the name", () => {
    const name = fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,20}$/);
    const slices = fc.array(fc.stringMatching(/^[a-z0-9_.]{1,6}$/), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(slices, name, fc.constantFrom("", "/container"), (parts, text, below) => {
        const slice = `${parts.join("-")}.slice`;
        const request = {
          id: "c1",
          resources: undefined,
          ownNamespace: true,
          cgroupsPath: `${slice}:p:${text}`,
        };
        const place = unitPlace(request, false, 252);
        const directory = `/sys/fs/cgroup/${place.parts.join("/")}`;
        const { unit, kind } = place;
        expect(unitOf(`${directory}${below}`)).toEqual({ unit, kind, directory });
      }),
    );
    expect(expandSlice("-.slice", 252)).toEqual([]);
  });
});

test("a cgroup is removed without a systemd that is gone, hangs, or hangs up, and for no other error", () => {
  const without = (code: string, errno?: string) =>
    isWithoutSystemd(fail({ code, message: "", ...(errno === undefined ? {} : { errno }) }));
  expect([without("SYSTEMD"), without("DBUS"), without("TIMEOUT")]).toEqual([true, true, true]);
  expect([without("SYSCALL", "ECONNRESET"), without("SYSCALL", "EPIPE")]).toEqual([true, true]);
  expect([without("SYSCALL", "ENOMEM"), without("CGROUP")]).toEqual([false, false]);
});

test("an ordinary user has no units on cgroup v1, in runc's words", () => {
  const host = { ...hybrid, uid: 1000, systemd: { version: 252, controlGroup: "/" } };
  const request = { id: "c1", cgroupsPath: undefined, resources: undefined, ownNamespace: true };
  expect(errorOf(() => cgroupSystemdDriver.plan(request, host))).toBe(
    "UNSUPPORTED --systemd-cgroup: cannot use rootless systemd cgroups manager on cgroup v1",
  );
});

describe("GVariant text", () => {
  test.each([
    ["true", "b", true],
    ["5", "i", 5],
    ["-0x10", "i", -16],
    ["010", "i", 8],
    ["1.5", "d", 1.5],
    ["uint64 123456789", "t", 123456789n],
    ["@t 5", "t", 5n],
    ["int64 -3", "x", -3n],
    ["byte 255", "y", 255],
    ["'inactive-or-failed'", "s", "inactive-or-failed"],
    ['"with \\"quotes\\" and \\u00e9"', "s", 'with "quotes" and é'],
    ["['a', 'b']", "as", ["a", "b"]],
    ["@as []", "as", []],
    ["[1, 2.5]", "ad", [1, 2.5]],
    ["[uint32 1, 2]", "au", [1, 2]],
    ["objectpath '/a/b'", "o", "/a/b"],
    ["(1, 'x')", "(is)", [1, "x"]],
    ["('alone',)", "(s)", ["alone"]],
    ["<uint16 7>", "v", { signature: "q", value: 7 }],
    ["{'key': <5>}", "a{sv}", [["key", { signature: "i", value: 5 }]]],
    ["b'ab\\001'", "ay", Uint8Array.of(97, 98, 1, 0)],
    [" [ ('/dev/null' , 'rw') ] ", "a(ss)", [["/dev/null", "rw"]]],
  ])("%s is of type %s", (text, signature, value) => {
    expect(parseVariant(text)).toEqual({ signature, value });
  });

  test.each([
    "",
    "text",
    "'open",
    "[]",
    "[1, 'x']",
    "[1",
    "(1 2)",
    "uint64 -1",
    "uint64 18446744073709551616",
    "5000000000",
    "byte 256",
    "uint32 1.5",
    "uint64 'x'",
    "@z 5",
    "{'a' 1}",
    "<5",
    "true false",
    "089",
    "'\\q'",
    "just 5",
    `${"[".repeat(100)}1${"]".repeat(100)}`,
  ])("%s is none", (text) => {
    expect(() => parseVariant(text)).toThrow();
  });

  test("of any other kind is an error that ends", () => {
    const words = fc.constantFrom(
      "[",
      "]",
      "(",
      ")",
      "{",
      "}",
      "<",
      ">",
      ",",
      ":",
      "@as",
      "uint64",
      "1",
      "'a'",
      "b'x'",
      "true",
      "-",
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (list) => {
        try {
          const { signature } = parseVariant(list.join(" "));
          expect(signature).not.toBe("");
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("annotations", () => {
  test("become properties, times in microseconds as D-Bus has them", () => {
    expect(
      annotatedProperties({
        "org.systemd.property.CollectMode": "'inactive-or-failed'",
        "org.systemd.property.TimeoutStopUSec": "uint64 5",
        "org.systemd.property.RuntimeMaxSec": "1.5",
        "org.systemd.property.SomeSec": "uint64 90",
        "io.example.other": "1",
      }),
    ).toEqual([
      ["CollectMode", { signature: "s", value: "inactive-or-failed" }],
      ["TimeoutStopUSec", { signature: "t", value: 5n }],
      ["RuntimeMaxUSec", { signature: "t", value: 1_500_000n }],
      ["SomeUSec", { signature: "t", value: 90_000_000n }],
    ]);
  });

  test("that are none are refused by their name", () => {
    const error = (name: string, text: string): string =>
      errorOf(() => annotatedProperties({ [`org.systemd.property.${name}`]: text }));
    expect(error("Ab", "1")).toBe(
      'INVALID_CONFIG annotations["org.systemd.property.Ab"]: no name of a property: "Ab"',
    );
    expect(error("With.Dot", "1")).toContain("no name of a property");
    expect(error("CollectMode", "inactive")).toBe(
      'INVALID_CONFIG annotations["org.systemd.property.CollectMode"]: "inactive" is no value: unknown word "inactive" at character 1',
    );
    expect(error("TimeoutStopSec", "'soon'")).toContain("of type s is no number of seconds");
    for (const text of ["-5", "inf", "-inf", "nan", "1e300"]) {
      expect(error("TimeoutStopSec", text)).toMatch(
        /^INVALID_CONFIG annotations\["org\.systemd\.property\.TimeoutStopSec"\]: \S+ is no number of seconds$/,
      );
    }
  });

  test("name a cgroup below the unit's, and never one elsewhere", () => {
    expect(subgroups({ "run.oci.systemd.subgroup": "inner", "run.oci.delegate-cgroup": "own" })).toEqual({
      subgroup: "inner",
      delegated: "own",
    });
    expect(subgroups({ "run.oci.systemd.subgroup": "" })).toEqual({
      subgroup: undefined,
      delegated: undefined,
    });
    for (const bad of ["a/b", "..", ".", "x.scope", "a\nb"]) {
      expect(errorOf(() => subgroups({ "run.oci.systemd.subgroup": bad }))).toContain(
        'INVALID_CONFIG annotations["run.oci.systemd.subgroup"]: ',
      );
    }
  });
});
