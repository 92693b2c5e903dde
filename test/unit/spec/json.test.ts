// JSON text: exact integers both ways, the place of a syntax error, limits of size and depth.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { errorLine } from "../../../src/error.ts";
import { jsonFault, readJson, writeJson } from "../../../src/spec/json.ts";
import { parseJson } from "../../../src/spec/parse.ts";
import { Uint64 } from "../../../src/spec/scalars.ts";
import { refusal } from "./support.ts";

const accepts = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe("integers", () => {
  test("above 2^53 are bigints, all else are numbers", () => {
    const text =
      '[9007199254740991, 9007199254740992, -9223372036854775808, 1e30, 0.12345678901234566, "9007199254740993"]';
    expect(readJson(text)).toEqual([
      9007199254740991,
      9007199254740992n,
      -9223372036854775808n,
      1e30,
      0.12345678901234566,
      "9007199254740993",
    ]);
  });

  test("are written as they were read", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n })), (numbers) => {
        const text = `{"a":[${numbers.join()}]}`;
        expect(writeJson(readJson(text))).toBe(text);
      }),
    );
  });

  test("of a document are exact in fields of 64 bits", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (number) => {
        expect(BigInt(parseJson(v.object({ a: Uint64 }), `{"a":${number}}`, "it").a)).toBe(number);
      }),
    );
  });

  test("are indented like all else", () => {
    expect(writeJson({ a: [18446744073709551615n] }, 1)).toBe('{\n "a": [\n  18446744073709551615\n ]\n}');
  });
});

describe("a syntax error", () => {
  test.each([
    ["", 1, 1, "expected a value, got the end"],
    ['{"a":\n 1,\n b}', 3, 2, 'expected a quoted name, got "b"'],
    ['{"a":\n 1,\n "b":"abc', 3, 10, "expected the closing quote of a string, got the end"],
    ['"a\nb"', 1, 3, 'expected the closing quote of a string, got "\\n"'],
    ['"\\x"', 1, 2, 'expected an escape such as "\\n" or "\\u000a", got "\\\\"'],
    ['{"a":1}x', 1, 8, 'expected the end, got "x"'],
    ["[1,]", 1, 4, 'expected a value, got "]"'],
    ['{"a":1,}', 1, 8, 'expected a quoted name, got "}"'],
    ["{,}", 1, 2, 'expected a quoted name or "}", got ","'],
    ["[,]", 1, 2, 'expected a value or "]", got ","'],
    ['{"a" 1}', 1, 6, 'expected ":", got "1"'],
    ['{"a":1 "b":2}', 1, 8, 'expected "," or "}", got "\\""'],
    ["[01]", 1, 3, 'expected "," or "]", got "1"'],
    ["[1", 1, 3, 'expected "," or "]", got the end'],
    ["[nul]", 1, 2, 'expected a value or "]", got "n"'],
    ["\r\n\t// comment\n{}", 2, 2, 'expected a value, got "/"'],
    ["['a']", 1, 2, 'expected a value or "]", got "\'"'],
    ["[😀]", 1, 2, 'expected a value or "]", got "😀"'],
  ])("in %p is placed", (text, line, column, message) => {
    expect(jsonFault(text)).toEqual({ line, column, message });
    const error = refusal(() => parseJson(v.unknown(), text, "config.json"));
    expect(errorLine(error)).toBe(`config.json:${line}:${column}: not valid JSON: ${message}`);
    expect(error.code).toBe("INVALID_CONFIG");
  });

  test("is found where, and only where, JSON.parse finds one", () => {
    const pieces = [
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      "\\",
      '"a"',
      '"\\u00e9"',
      "1",
      "-",
      "0",
      ".5",
      "e+3",
      "true",
      "null",
      " ",
      "\n",
      "\u0001",
      "x",
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
        const text = parts.join("");
        expect([text, jsonFault(text) === undefined]).toEqual([text, accepts(text)]);
      }),
      { numRuns: 5000 },
    );
  });

  test("is found in valid JSON that lost one character", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), (value, seed) => {
        const text = JSON.stringify(value, undefined, 1);
        const at = seed % text.length;
        const broken = text.slice(0, at) + text.slice(at + 1);
        expect(jsonFault(broken) === undefined).toBe(accepts(broken));
      }),
    );
  });
});

describe("limits", () => {
  test("a document of exactly the limit is read, one byte more is not", () => {
    const text = `"${"é".repeat(10)}"`;
    expect(parseJson(v.string(), text, "it", 22)).toHaveLength(10);
    for (const source of [text, new TextEncoder().encode(text)]) {
      expect(errorLine(refusal(() => parseJson(v.string(), source, "it", 21)))).toBe(
        "it: must not be above 21 bytes",
      );
    }
  });

  test("the limit is 4 MiB where none is given", () => {
    const text = (size: number) => `"${" ".repeat(size - 2)}"`;
    expect(parseJson(v.string(), text(4 * 1024 * 1024), "it")).toHaveLength(4 * 1024 * 1024 - 2);
    expect(refusal(() => parseJson(v.string(), text(4 * 1024 * 1024 + 1), "it")).message).toContain(
      "4194304 bytes",
    );
  });

  test("depth is bounded, and the stack is not overrun", () => {
    const text = `${"[".repeat(500_000)}9007199254740993${"]".repeat(500_000)}`;
    expect(errorLine(refusal(() => parseJson(v.string(), text, "it")))).toBe("it: JSON is nested too deeply");
  });

  test("bytes that are not UTF-8 are refused, a byte order mark is not", () => {
    expect(errorLine(refusal(() => parseJson(v.string(), new Uint8Array([34, 0xff, 34]), "it")))).toBe(
      "it: not valid UTF-8",
    );
    expect(parseJson(v.string(), new Uint8Array([0xef, 0xbb, 0xbf, 34, 97, 34]), "it")).toBe("a");
  });

  test("keys that JavaScript has for itself do nothing", () => {
    const parsed = parseJson(v.record(v.string(), v.unknown()), '{"__proto__":{"polluted":1},"a":1}', "it");
    expect(parsed).toEqual({ a: 1 });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
